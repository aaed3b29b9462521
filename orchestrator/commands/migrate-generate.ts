import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { untilAborted, type Appliance } from '../appliance/appliance.ts';
import type { ScratchDatabase } from '../database/scratch.ts';
import { writeFileAtomic } from '../lib/atomic-file.ts';
import { Refusal, UsageError } from '../lib/errors.ts';
import { plural } from '../lib/units.ts';
import { readMigrations, readProvider } from '../schema-migrations/inspect.ts';
import { isWellNamed } from '../schema-migrations/lint/lint.ts';
import { loadGrammar } from '../schema-migrations/lint/postgres/parse.ts';
import type { MigrationFile } from '../schema-migrations/migration-file.ts';
import { migrationsFolder } from '../schema-migrations/pending.ts';
import { deployToScratch, diffToSchema } from '../schema-migrations/scratch-deploy.ts';
import { verifyAppliesInOrder } from '../schema-migrations/split/replay.ts';
import {
  splitByTable,
  splitSqliteByTable,
  type NewMigration,
} from '../schema-migrations/split/split-by-table.ts';
import { locked } from './locked.ts';
import type { Session } from './session.ts';

export interface GenerateOptions {
  readonly dryRun?: boolean;
  readonly perTable?: boolean;
}

/** `migrate generate NAME`: what is between the migrations and schema.prisma, found in a scratch database. */
export async function generateMigration(
  session: Session,
  name: string,
  { dryRun = false, perTable = false }: GenerateOptions,
): Promise<number> {
  const snake = name
    .trim()
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '_')
    .replaceAll(/^_+|_+$/g, '');
  if (!isWellNamed(`20260101000000_${snake}`))
    throw new UsageError(
      `cannot call a migration "${name}"`,
      'use letters, digits and blanks, such as "add phone to users"',
    );
  return await onScratch(session, 'migrate generate', async (appliance, migrations) => {
    const { config, directory } = appliance;
    const parts =
      (await appliance.database?.withScratch(async (scratch) => {
        const last = migrations.at(-1);
        if (last) await deployToScratch(appliance, scratch, last.name);
        const sql = await diffToSchema(appliance, scratch, 'prisma/schema.prisma');
        if (sql.trim() === '') return [];
        return perTable ? await splitScript(appliance, scratch, { sql, migrations }) : [{ name: snake, sql }];
      })) ?? [];
    if (parts.length === 0) {
      session.ui.result(
        { type: 'result', ok: true, exitCode: 0, migrations: [] },
        'No changes: the migrations are what schema.prisma says. Nothing was written.',
      );
      return 0;
    }
    const written = nameThem(parts, migrations.at(-1)?.name).map((part) => ({
      ...part,
      file: join(migrationsFolder(config) ?? '', part.name, 'migration.sql'),
    }));
    for (const { file, sql: text } of dryRun ? [] : written) {
      mkdirSync(join(directory, file, '..'), { recursive: true });
      writeFileAtomic(join(directory, file), text, 0o644);
    }
    session.ui.result(
      { type: 'result', ok: true, exitCode: 0, migrations: written, dryRun },
      [
        ...written.map(({ file, sql: text }) => (dryRun ? `-- ${file}\n${text}` : `✔ ${file}`)),
        dryRun
          ? 'Nothing was written.'
          : '  Next: ./run.sh migrate lint; then commit it with schema.prisma, and ./run.sh update builds and applies it',
      ].join('\n'),
    );
    return 0;
  });
}

/** One migration a table; for SQLite, which looks at its foreign keys after each, they are tried before they are written. */
async function splitScript(
  appliance: Appliance,
  scratch: ScratchDatabase,
  { sql, migrations }: { sql: string; migrations: readonly MigrationFile[] },
): Promise<NewMigration[]> {
  if ((await readProvider(appliance, appliance.config)) !== 'sqlite') {
    await loadGrammar();
    return splitByTable(sql, await scratch.schemaText());
  }
  const parts = await splitSqliteByTable(sql, migrations.map((one) => one.sql).join('\n;\n'));
  await verifyAppliesInOrder(scratch, parts);
  return parts;
}

/** Each its own second, after now and after the newest there is: the order is that of the names. */
function nameThem(parts: readonly NewMigration[], newest = ''): NewMigration[] {
  const stamp = (at: number) => new Date(at).toISOString().replaceAll(/\D/g, '').slice(0, 14);
  const taken = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)_/.exec(newest)?.slice(1).map(Number) ?? [];
  const [year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0] = taken;
  const first = Math.max(Date.now(), Date.UTC(year, month - 1, day, hour, minute, second + 1));
  return parts.map(({ name, sql }, index) => ({ name: `${stamp(first + index * 1000)}_${name}`, sql }));
}

export function find(migrations: readonly MigrationFile[], name: string): number {
  const index = migrations.findIndex((one) => one.name === name);
  if (index === -1)
    throw new Refusal(`cannot find the migration ${name}`, './run.sh migrate status lists what there is');
  return index;
}

/** A command that works on a scratch database with what lies in the checkout. */
export async function onScratch(
  session: Session,
  command: string,
  work: (appliance: Appliance, migrations: readonly MigrationFile[]) => Promise<number>,
): Promise<number> {
  return await locked(session, command, async ({ appliance, signals }) => {
    const { database, config } = appliance;
    if (!database || config.prisma?.deploy !== 'holdfast')
      throw new Refusal(
        'cannot work with the migrations: Prisma does not apply them here',
        'prisma.deploy in appliance.yaml names what does',
      );
    await database.ensureRunning();
    const migrations = await readMigrations(appliance, config);
    session.ui.say(
      `${plural(migrations.length, 'migration')}; a scratch database is made, and dropped afterwards ...`,
    );
    return await work(untilAborted(appliance, signals.abort.signal), migrations);
  });
}
