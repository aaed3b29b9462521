import { join } from 'node:path';
import type { Appliance } from '../appliance/appliance.ts';
import type { Engine } from '../database/engine.ts';
import { hasOwnTransaction } from '../database/sqlite/script.ts';
import { Refusal } from '../lib/errors.ts';
import { plural } from '../lib/units.ts';
import { revertAndStaySteps, revertSteps } from '../pipeline/steps.ts';
import { readOrigin } from '../pipeline/target.ts';
import { readMigrations } from '../schema-migrations/inspect.ts';
import { loadGrammar, parsePostgres } from '../schema-migrations/lint/postgres/parse.ts';
import { parseDirectives } from '../schema-migrations/lint/directives.ts';
import { downNames } from '../schema-migrations/migration-file.ts';
import { migrationsFolder } from '../schema-migrations/pending.ts';
import { newestTextOf } from '../tools/git-facts.ts';
import { locked } from './locked.ts';
import { runAndTell } from './run-and-tell.ts';
import type { Session } from './session.ts';

/** A migration to take back, with the SQL that does. */
interface Down {
  readonly name: string;
  readonly sql: string;
}

/** `migrate down`: a snapshot, then the newest migration (or all after `to`) is taken back by the SQL it brought for it. */
export async function revertMigrations(session: Session, options: { readonly to?: string }): Promise<number> {
  return await locked(session, 'migrate down', async ({ appliance, signals }) => {
    const { database, config } = appliance;
    if (!database) throw new Refusal('cannot take a migration back: this appliance has no database');
    await database.ensureRunning();
    const names = await findToRevert(appliance, options.to);
    const here = new Set((await readMigrations(appliance, config)).map(({ name }) => name));
    const down: Down[] = [];
    for (const name of names) down.push({ name, sql: await findDown(appliance, name, database.engine) });
    // Code whose own migrations are not applied does not belong to the schema.
    const stranded = names.filter((name) => here.has(name));
    const leaveStopped = stranded.length > 0;
    const origin = await readOrigin(appliance);
    const what = `takes back ${names.join(', ')}; the services stop for it${leaveStopped ? `, and stay down: the code that is here belongs to ${plural(stranded.length, 'migration')} of them` : ''}`;
    if (!(await session.ui.confirm(`This ${what}. Go on?`))) {
      session.ui.result(
        { type: 'result', ok: true, exitCode: 0, outcome: 'declined' },
        'Nothing was changed.',
      );
      return 0;
    }
    const exitCode = await runAndTell(
      session,
      {
        ...{ appliance, signals, kind: 'migrate', origin },
        steps: leaveStopped ? revertAndStaySteps : revertSteps,
        target: { commit: origin.commit, label: origin.label, config },
        snapshot: { kind: 'update' },
        migrating: { down, leaveStopped },
      },
      { migrations: names, ...(leaveStopped ? { services: 'stopped' } : {}) },
    );
    if (exitCode === 0 && leaveStopped)
      session.ui.say(
        `  The services stay down: ${stranded.join(', ')} lies in ${origin.label}, and is not applied.\n  Next: ./run.sh migrate deploy applies it again; or bring the code of before, then ./run.sh start`,
      );
    return exitCode;
  });
}

/** What is to be taken back, the newest first. */
async function findToRevert({ database }: Appliance, to: string | undefined): Promise<string[]> {
  const applied = (await database?.appliedMigrations()) ?? [];
  const names = [...new Set(applied.filter(({ rolledBack }) => !rolledBack).map(({ name }) => name))]
    .toSorted()
    .toReversed();
  const [newest] = names;
  if (newest === undefined)
    throw new Refusal('cannot take a migration back: none is applied', './run.sh migrate status');
  if (to === undefined) return [newest];
  if (!names.includes(to))
    throw new Refusal(`cannot go down to ${to}: it is not applied`, './run.sh migrate status lists what is');
  const newer = names.filter((name) => name > to);
  if (newer.length === 0) throw new Refusal(`cannot go down to ${to}: nothing newer is applied`);
  return newer;
}

/** From the checkout, or, where an older version is checked out, from whatever commit of this repository had it last. */
async function findDown(
  { runtime, directory, config }: Appliance,
  name: string,
  engine: Engine,
): Promise<string> {
  const folder = join(migrationsFolder(config) ?? '', name);
  const read = async (file: string) => await newestTextOf(runtime, directory, join(folder, file));
  for (const file of downNames) {
    const sql = await read(file);
    if (sql !== undefined) return await verifyOneTransaction(name, sql, engine);
  }
  await loadGrammar();
  const { rollback } = parseDirectives(parsePostgres((await read('migration.sql')) ?? '').comments);
  if (rollback.length > 0) return await verifyOneTransaction(name, rollback.join('\n'), engine);
  throw new Refusal(
    `cannot take ${name} back: it brings no ${downNames.join(' or ')}`,
    `./run.sh rollback brings version and data back together; or write one: ./run.sh migrate generate-down ${name}`,
  );
}

/** It runs with the record of it in one transaction, which must be ours to end. */
export async function verifyOneTransaction(name: string, sql: string, engine: Engine): Promise<string> {
  if (engine === 'sqlite') {
    if (hasOwnTransaction(sql)) throw ownTransaction(name, '');
    return sql;
  }
  await loadGrammar();
  const { statements, syntaxError } = parsePostgres(sql);
  if (syntaxError)
    throw new Refusal(
      `cannot take ${name} back: its down.sql does not parse, line ${syntaxError.line}: ${syntaxError.message}`,
    );
  const own = statements.find(({ node }) => 'TransactionStmt' in node);
  if (own) throw ownTransaction(name, `, in line ${own.line}`);
  return sql;
}

const ownTransaction = (name: string, where: string) =>
  new Refusal(
    `cannot take ${name} back: its down.sql begins or ends a transaction by itself${where}`,
    'take BEGIN and COMMIT out of it: all of it runs in one transaction anyway',
  );
