import type { Command } from 'commander';
import { untilAborted, type Appliance } from '../appliance/appliance.ts';
import type { Database, SchemaInspection } from '../database/engine.ts';
import { exitCodes, Refusal, UsageError } from '../lib/errors.ts';
import { formatBytes, formatCount, plural } from '../lib/units.ts';
import type { Register } from '../main.ts';
import { tableKey } from '../schema-migrations/lint/finding.ts';
import { prismaCli, runPrisma } from '../schema-migrations/prisma-cli.ts';
import { formatColumns } from '../ui/columns.ts';
import { openStudio, pushSchema, resetDatabase, restoreDump } from './db-change.ts';
import { locked } from './locked.ts';
import type { Session } from './session.ts';

type Table = SchemaInspection['tables'][number];

export const registerDb: Register = (program, act) => {
  const db = program
    .command('db')
    .description(
      'the database: its tables, one of them, the seed; for tests and development: push, reset, restore',
    )
    .helpCommand(false)
    .allowExcessArguments()
    .action(
      act(async (session, _options, command: Command) => {
        const [word] = command.args;
        if (word === undefined) return await showStats(session);
        const names = command.commands.map((one) => one.name()).join(', ');
        throw new UsageError(`there is no command "db ${word}"; there are ${names}`, './run.sh help db');
      }),
    );
  db.command('stats')
    .description('rows, size and indexes of each table; looks only')
    .action(act(async (session) => await showStats(session)));
  db.command('inspect')
    .argument('<table>', 'its name, with its schema where that is not public')
    .description('columns, indexes and constraints of a table; looks only')
    .action(act(async (session, table: string) => await showTable(session, table)));
  db.command('seed')
    .description("run the backend's own prisma db seed")
    .action(act(async (session) => await seed(session)));
  db.command('studio')
    .option('--port <port>', 'where it listens')
    .description('Prisma Studio on this database, until Ctrl-C; says its address')
    .action(act(async (session, options: { port?: string }) => await openStudio(session, options)));
  db.command('push')
    .option('--allow-destructive', 'also what takes data away')
    .description('for tests and development: the schema as schema.prisma has it, after a snapshot')
    .action(
      act(
        async (session, options: { allowDestructive?: boolean }) =>
          await pushSchema(session, options.allowDestructive === true),
      ),
    );
  db.command('reset')
    .option('--allow-destructive', 'without being asked to type the name')
    .description('for development: empty, migrate and seed the database, after a snapshot')
    .action(
      act(
        async (session, options: { allowDestructive?: boolean }) =>
          await resetDatabase(session, options.allowDestructive === true),
      ),
    );
  db.command('restore')
    .argument('<dump>', 'as db push, db reset or migrate dev named it')
    .description('for tests and development: a dump takes the place of the database')
    .action(act(async (session, dump: string) => await restoreDump(session, dump)));
};

async function showStats(session: Session): Promise<number> {
  const { tables } = await inspect(session.open());
  const sorted = tables.toSorted((one, other) => other.bytes - one.bytes);
  const rows = sorted.map((table) => [
    nameOf(table),
    formatCount(table.rows),
    formatBytes(table.bytes),
    String(table.indexes),
  ]);
  const sum = tables.reduce((total, { bytes }) => total + bytes, 0);
  session.ui.result(
    { type: 'result', ok: true, exitCode: exitCodes.ok, tables: sorted },
    [
      ...formatColumns(['TABLE', 'ROWS', 'SIZE', 'INDEXES'], rows, { header: session.ui.paint.bold }),
      `${plural(tables.length, 'table')}, ${formatBytes(sum)} with their indexes. Rows of big tables are estimates.`,
    ].join('\n'),
  );
  return exitCodes.ok;
}

async function showTable(session: Session, wanted: string): Promise<number> {
  const appliance = session.open();
  const { tables } = await inspect(appliance);
  const table = tables.find((one) => nameOf(one) === wanted || `${one.schema}.${one.name}` === wanted);
  const about = table && (await appliance.database?.describeTable(table.schema, table.name));
  if (!about)
    throw new Refusal(
      `cannot look into ${wanted}: there is no such table (there are ${tables.map(nameOf).join(', ') || 'none'})`,
      './run.sh db stats',
    );
  const columns = about.columns.map((one) => [
    `  ${one.name}`,
    one.type,
    one.nullable ? '' : 'not null',
    one.default === null ? '' : `default ${one.default}`,
  ]);
  session.ui.result(
    { type: 'result', ok: true, exitCode: exitCodes.ok, ...table, ...about, indexes: about.indexes },
    [
      `${session.ui.paint.bold(nameOf(table))}: ${formatCount(table.rows)} rows, ${formatBytes(table.bytes)}`,
      ...formatColumns(['  COLUMN', 'TYPE', '', ''], columns, { header: session.ui.paint.dim }),
      ...about.indexes.map(({ definition, bytes }) => `  ${definition} (${formatBytes(bytes)})`),
      ...about.constraints.map(({ name, definition }) => `  ${name}: ${definition}`),
    ].join('\n'),
  );
  return exitCodes.ok;
}

/** It writes rows: under the lock of the appliance. */
async function seed(session: Session): Promise<number> {
  return await locked(session, 'db seed', async ({ appliance, signals }) => {
    const database = databaseOf(appliance);
    await database.ensureRunning();
    const command = prismaCli(appliance, appliance.config, ['db', 'seed'], await database.environment());
    await runPrisma(untilAborted(appliance, signals.abort.signal), command, {
      onLine: (line) => session.ui.say(line),
    });
    session.ui.result({ type: 'result', ok: true, exitCode: exitCodes.ok, command: 'db seed' }, 'Seeded.');
    return exitCodes.ok;
  });
}

function databaseOf({ database }: Appliance): Database {
  if (!database)
    throw new Refusal('this appliance has no database', 'appliance.yaml names one under "database"');
  return database;
}

/** Starts nothing: a look must not. */
async function inspect(appliance: Appliance): Promise<SchemaInspection> {
  const database = databaseOf(appliance);
  const { ok, text } = await database.glance();
  if (!ok) throw new Refusal(`cannot look at the database: ${text}`, './run.sh start');
  return await database.inspectSchema();
}

const nameOf = ({ schema, name }: Table) => tableKey(schema, name);
