import { exitCodes, Refusal } from '../lib/errors.ts';
import { revertSql } from '../database/recorded-migrations.ts';
import { lintMigrations, readProvider } from '../schema-migrations/inspect.ts';
import { loadGrammar } from '../schema-migrations/lint/postgres/parse.ts';
import { deployToScratch } from '../schema-migrations/scratch-deploy.ts';
import { verifyStaysInside } from '../schema-migrations/stays-inside.ts';
import { compareSchemas } from '../schema-migrations/schema-difference.ts';
import { find, onScratch } from './migrate-generate.ts';
import { verifyOneTransaction } from './migrate-down.ts';
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
    const engine = appliance.database?.engine ?? 'postgresql';
    await verifyOneTransaction(name, down.sql, engine);
    await loadGrammar();
    const provider = await readProvider(appliance, appliance.config);
    // What the way back does to rows is what a migration of the same SQL would do after this one.
    const wayBack = { ...migration, name: `${name} back`, sql: down.sql };
    const linted = await lintMigrations(appliance.config, [...migrations.slice(0, index + 1), wayBack], {
      names: new Set([name, wayBack.name]),
      provider,
    });
    verifyStaysInside(linted, `try the way back of ${name}`, { unread: 'refuse' });
    const before = migrations[index - 1];
    const tried = await appliance.database?.withScratch(async (scratch) => {
      if (before) await deployToScratch(appliance, scratch, before.name);
      const first = await scratch.schemaText();
      await deployToScratch(appliance, scratch, name);
      const up = await scratch.schemaText();
      await scratch.execute(revertSql([{ name, sql: down.sql }]));
      const back = compareSchemas(first, await scratch.schemaText(), engine);
      await deployToScratch(appliance, scratch, name);
      const again = compareSchemas(up, await scratch.schemaText(), engine);
      return { back, again };
    });
    const problems = [
      ...(tried?.back.lines ?? []).map((line) => `after down.sql, and not before the migration: ${line}`),
      ...(tried?.again.lines ?? []).map((line) => `after it was applied again: ${line}`),
    ];
    const reordered = [...new Set([...(tried?.back.reordered ?? []), ...(tried?.again.reordered ?? [])])];
    const lossesOf = (wanted: string) =>
      linted
        .filter((one) => one.migration.name === wanted)
        .flatMap(({ findings }) => findings.filter(({ destructive }) => destructive))
        .map(({ message }) => message);
    const [lost, lostByDown] = [lossesOf(name), lossesOf(wayBack.name)];
    const ok = problems.length === 0;
    const exitCode = ok ? exitCodes.ok : exitCodes.refused;
    session.ui.result(
      {
        ...{ type: 'result', ok, exitCode, migration: name, differences: problems, reordered },
        ...{ notBroughtBack: lost, lostByDown },
      },
      [
        ok
          ? `✔ ${name}: up, down and up again; the schema was the same each time.`
          : `✖ ${name}: its down.sql does not bring the schema back.\n${problems.map((line) => `    ${line}`).join('\n')}`,
        ...(reordered.length === 0
          ? []
          : [
              `· The columns of ${reordered.join(', ')} come in another order; nothing that names them notices.`,
            ]),
        ...(lost.length === 0
          ? []
          : [`! Rows that no down.sql brings back: it ${lost.join('; it ')}. Only ./run.sh rollback does.`]),
        ...(lostByDown.length === 0
          ? []
          : [
              `! Rows that its down.sql takes away: it ${lostByDown.join('; it ')}. What was written into them since is lost.`,
            ]),
      ].join('\n'),
    );
    return exitCode;
  });
}
