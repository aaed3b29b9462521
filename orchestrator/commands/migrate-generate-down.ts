import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Appliance } from '../appliance/appliance.ts';
import { revertSql } from '../database/recorded-migrations.ts';
import type { ScratchDatabase } from '../database/scratch.ts';
import { writeFileAtomic } from '../lib/atomic-file.ts';
import { messageOf, Refusal } from '../lib/errors.ts';
import { loadGrammar, parsePostgres } from '../schema-migrations/lint/postgres/parse.ts';
import { downNames, type MigrationFile } from '../schema-migrations/migration-file.ts';
import { migrationsFolder } from '../schema-migrations/pending.ts';
import { compareSchemas } from '../schema-migrations/schema-difference.ts';
import { deployToScratch, diffToSchema, pullSchema } from '../schema-migrations/scratch-deploy.ts';
import { find, onScratch } from './migrate-generate.ts';
import type { Session } from './session.ts';

/** `migrate generate-down NAME`: the SQL that takes a migration back, as far as a schema of Prisma's tells. */
export async function generateDown(session: Session, name: string, dryRun: boolean): Promise<number> {
  return await onScratch(session, 'migrate generate-down', async (appliance, migrations) => {
    const index = find(migrations, name);
    const [downName = 'down.sql'] = downNames;
    const file = join(migrationsFolder(appliance.config) ?? '', name, downName);
    if (!dryRun && existsSync(join(appliance.directory, file)))
      throw new Refusal(
        `cannot write ${file}: it is there already`,
        'delete it first, or add --dry-run to see what would be written',
      );
    await loadGrammar();
    const {
      sql = '',
      notSeen = [],
      failure,
    } = (await appliance.database?.withScratch(
      async (scratch) => await findWayBack(appliance, scratch, name, migrations[index - 1]),
    )) ?? {};
    const byHand = 'DROP what is left over, make again what is missing';
    const list = notSeen.map((line) => `\n    ${line}`).join('');
    if (sql === '' && notSeen.length > 0)
      throw new Refusal(
        `cannot write the way back of ${name}: Prisma does not see what it changes, and would leave it there:${list}`,
        `write ${file} by hand: ${byHand}; then ./run.sh migrate test-down ${name}`,
      );
    const text = `${sql === '' ? '-- Nothing of the schema is to be taken back.\nSELECT 1;' : sql}\n`;
    if (!dryRun) writeFileAtomic(join(appliance.directory, file), text, 0o644);
    const told = `! Prisma does not see all that ${name} changes. ${byHand}, in ${file} by hand:${list}`;
    session.ui.result(
      {
        type: 'result',
        ok: true,
        exitCode: 0,
        file,
        sql: text,
        notSeen,
        ...(failure === undefined ? {} : { failure }),
        dryRun,
      },
      [
        dryRun ? text : `✔ ${file}`,
        ...(notSeen.length === 0 ? [] : [told]),
        ...(failure === undefined ? [] : [`! It fails as it is, and has to be mended by hand: ${failure}`]),
        ...(dryRun ? [] : [`  Next: read it; then ./run.sh migrate test-down ${name}`]),
      ].join('\n'),
    );
    return 0;
  });
}

/** Prisma's way back, and what of the schema is not as before after it: views, functions, triggers, CHECK and such. */
async function findWayBack(
  appliance: Appliance,
  scratch: ScratchDatabase,
  name: string,
  before: MigrationFile | undefined,
): Promise<{ sql: string; notSeen: readonly string[]; failure?: string }> {
  const schema = join(appliance.state.path, 'before.prisma');
  try {
    if (before) await deployToScratch(appliance, scratch, before.name);
    const first = await scratch.schemaText();
    writeFileAtomic(schema, before ? await pullSchema(appliance, scratch) : emptySchema(appliance));
    await deployToScratch(appliance, scratch, name);
    const sql = withoutTransactions(await diffToSchema(appliance, scratch, schema)).trim();
    if (sql !== '') {
      const error = await scratch.execute(revertSql([{ name, sql }])).then(() => undefined, messageOf);
      // Such as a column that a view uses, which Prisma does not see.
      if (error !== undefined) return { sql, notSeen: [], failure: error };
    }
    const { lines } = compareSchemas(
      first,
      await scratch.schemaText(),
      appliance.database?.engine ?? 'postgresql',
    );
    return { sql, notSeen: lines };
  } finally {
    rmSync(schema, { force: true });
  }
}

/** Prisma puts an enum that loses a value into a transaction; a way back is one as a whole. */
function withoutTransactions(sql: string): string {
  const own = parsePostgres(sql).statements.filter(({ node }) => 'TransactionStmt' in node);
  const lines = new Set(own.map(({ line }) => line));
  return sql
    .split('\n')
    .filter((_, index) => !lines.has(index + 1))
    .join('\n');
}

/** schema.prisma without a model: what is there before the first migration. */
function emptySchema({ directory, config }: Appliance): string {
  const text = readFileSync(join(directory, config.prisma?.dir ?? '.', 'prisma/schema.prisma'), 'utf8');
  return [...text.matchAll(/^(?:datasource|generator)\s+\w+\s*\{[^}]*\}/gm)]
    .map(([block]) => block)
    .join('\n\n');
}
