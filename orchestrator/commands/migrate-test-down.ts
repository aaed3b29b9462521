import { exitCodes, Refusal } from '../lib/errors.ts';
import { revertSql } from '../database/recorded-migrations.ts';
import { lintMigrations, readProvider } from '../schema-migrations/inspect.ts';
import { deployToScratch } from '../schema-migrations/scratch-deploy.ts';
import { find, onScratch } from './migrate-generate.ts';
import type { Session } from './session.ts';

/** `migrate test-down NAME`: up, down and up again on a scratch database; the schema must be the same each time. */
export async function testDown(session: Session, name: string): Promise<number> {
  return await onScratch(session, 'migrate test-down', async (appliance, migrations) => {
    const index = find(migrations, name);
    const migration = migrations[index];
    const down = migration?.down;
    if (!migration || !down)
      throw new Refusal(
        `cannot try the way back of ${name}: it brings no down.sql`,
        `./run.sh migrate generate-down ${name} writes one`,
      );
    const before = migrations[index - 1];
    const problems = await appliance.database?.withScratch(async (scratch) => {
      if (before) await deployToScratch(appliance, scratch, before.name);
      const first = await scratch.schemaText();
      await deployToScratch(appliance, scratch, name);
      const up = await scratch.schemaText();
      await scratch.execute(revertSql([{ name, sql: down.sql }]));
      const back = differing(first, await scratch.schemaText());
      await deployToScratch(appliance, scratch, name);
      const again = differing(up, await scratch.schemaText());
      return [
        ...back.map((line) => `after down.sql, and not before the migration: ${line}`),
        ...again.map((line) => `after it was applied again: ${line}`),
      ];
    });
    const provider = await readProvider(appliance, appliance.config);
    const [linted] = await lintMigrations(appliance.config, migrations, {
      names: new Set([name]),
      provider,
    });
    const lost = (linted?.findings ?? [])
      .filter(({ destructive }) => destructive)
      .map(({ message }) => message);
    const ok = problems?.length === 0;
    const exitCode = ok ? exitCodes.ok : exitCodes.refused;
    session.ui.result(
      { type: 'result', ok, exitCode, migration: name, differences: problems ?? [], notBroughtBack: lost },
      [
        ok
          ? `✔ ${name}: up, down and up again; the schema was the same each time.`
          : `✖ ${name}: its down.sql does not bring the schema back.\n${(problems ?? []).map((line) => `    ${line}`).join('\n')}`,
        ...(lost.length === 0
          ? []
          : [`! Rows that no down.sql brings back: it ${lost.join('; it ')}. Only ./run.sh rollback does.`]),
      ].join('\n'),
    );
    return exitCode;
  });
}

/** Lines that one text has and the other has not, each marked. */
function differing(before: string, after: string): string[] {
  const [one, other] = [before.split('\n'), after.split('\n')];
  const only = (lines: readonly string[], rest: readonly string[]) =>
    lines.filter((line) => line !== '' && !rest.includes(line));
  return [
    ...only(one, other).map((line) => `missing: ${line}`),
    ...only(other, one).map((line) => `left over: ${line}`),
  ];
}
