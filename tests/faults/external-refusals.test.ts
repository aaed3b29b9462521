import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runInProcess, type Outcome } from '../support/in-process.ts';
import { localRuntime } from '../../orchestrator/runtime/local.ts';
import type { Runtime } from '../../orchestrator/runtime/runtime.ts';
import type { PostgresServer } from '../fixtures/schema-engine/postgres-server.ts';
import { startExternal } from '../support/external-database.ts';
import { tally } from '../support/fault-tally.ts';
import { Ledger } from '../support/ledger.ts';
import { release } from '../support/releases.ts';
import { differences } from '../support/state.ts';

/*
 * A database on somebody else's server, whose owner is no superuser. What a restore could not bring back, or could not
 * walk past, is refused before anything is touched, with the statement that mends it.
 */

let server: PostgresServer;
let ledger: Ledger;

beforeAll(async () => {
  const external = await startExternal();
  server = external.server;
  ledger = await Ledger.install({ external: external.database });
  await ledger.sandbox.publish(release(2), { tag: 'v2' });
});

afterAll(async () => {
  await ledger?.destroy();
  await server?.stop();
});

/** Some of these want a transaction of their own, and some the settings of the same session. */
async function apply(statements: readonly string[]): Promise<void> {
  const session = new Client({ connectionString: server.url('ledger') });
  await session.connect();
  try {
    for (const statement of statements) await session.query(statement);
  } finally {
    await session.end();
  }
}

/** Tries an update; nothing may change, and no service may stop. */
async function attempt(runtime: Runtime = localRuntime): Promise<Outcome & { changed: string[] }> {
  const was = await ledger.capture();
  const pids = await ledger.pids();
  const outcome = await runInProcess(ledger.program, runtime, [
    ...['--appliance', ledger.directory],
    ...['--yes', 'update'],
  ]);
  const changed = differences(was, await ledger.capture());
  if (JSON.stringify(pids) !== JSON.stringify(await ledger.pids())) changed.push('services were restarted');
  return { ...outcome, changed };
}

interface Obstacle {
  readonly what: string;
  readonly make: readonly string[];
  readonly undo: readonly string[];
  readonly says: RegExp;
  readonly next: RegExp;
}

const obstacles: readonly Obstacle[] = [
  {
    what: 'its user may not create databases',
    make: ['alter role app nocreatedb'],
    undo: ['alter role app createdb'],
    says: /user "app" may not create databases/,
    next: /ALTER ROLE "app" CREATEDB;/,
  },
  {
    what: 'the database belongs to somebody else',
    make: ['create role landlord', 'alter database ledger owner to landlord'],
    undo: ['alter database ledger owner to app', 'drop role landlord'],
    says: /"app" does not own the database "ledger"/,
    next: /ALTER DATABASE "ledger" OWNER TO "app";/,
  },
  {
    what: 'a table in it belongs to somebody else',
    make: ['create role lodger', 'create table lodgings (id int)', 'alter table lodgings owner to lodger'],
    undo: ['drop table lodgings', 'drop role lodger'],
    says: /not a member of roles that own something .*: lodger/,
    next: /GRANT "lodger" TO "app";/,
  },
  {
    what: 'a prepared transaction is open',
    make: ["begin; insert into entries (note, amount) values ('prepared', 1); prepare transaction 'it''s'"],
    undo: ["rollback prepared 'it''s'"],
    says: /prepared transactions are open .*: it's/,
    next: /ROLLBACK PREPARED 'it''s';/,
  },
  {
    what: 'a logical replication slot hangs on it',
    make: ["select pg_create_logical_replication_slot('feed', 'pgoutput')"],
    undo: ["select pg_drop_replication_slot('feed')"],
    says: /logical replication slots would follow the failed database: feed/,
    next: /SELECT pg_drop_replication_slot\('feed'\);/,
  },
  {
    what: 'it subscribes to another one',
    make: [
      "create subscription mirror connection 'host=nowhere' publication everything with (connect = false)",
    ],
    undo: [
      'alter subscription mirror disable',
      'alter subscription mirror set (slot_name = none)',
      'drop subscription mirror',
    ],
    says: /subscriptions belong to the database and are not restored: mirror/,
    next: /DROP SUBSCRIPTION "mirror";/,
  },
  {
    what: 'it holds an unlogged table',
    make: ['create unlogged table scratch (id int)', 'alter table scratch owner to app'],
    undo: ['drop table scratch'],
    says: /unlogged tables are empty after a crash: scratch/,
    next: /ALTER TABLE scratch SET LOGGED;/,
  },
  {
    what: 'another role has settings in it',
    make: ["alter role auditor in database ledger set work_mem to '9MB'"],
    undo: ['alter role auditor in database ledger reset work_mem'],
    says: /has to say "alter role "auditor" in database "ledger" set "work_mem" to '9MB';"/,
    next: /database\.adminUrl; or do without it.*alter role "auditor" in database "ledger" reset "work_mem";/,
  },
  {
    what: 'it has a setting that only a superuser may make',
    make: ["alter database ledger set log_statement to 'all'"],
    undo: ['alter database ledger reset log_statement'],
    says: /has to say "alter database "ledger" set "log_statement" to 'all';".*permission denied/s,
    next: /alter database "ledger" reset "log_statement";/,
  },
  {
    what: 'it has an extension that its owner may not create',
    make: ['create extension file_fdw'],
    undo: ['drop extension file_fdw'],
    says: /permission denied to create extension "file_fdw"/,
    next: /database\.adminUrl/,
  },
  {
    what: 'a table of it lies in a tablespace that its owner may not use',
    make: [
      'set allow_in_place_tablespaces = on',
      "create tablespace elsewhere location ''",
      'create table far (id int) tablespace elsewhere',
      'alter table far owner to app',
    ],
    undo: ['drop table far', 'drop tablespace elsewhere'],
    says: /permission denied for tablespace elsewhere/,
    next: /database\.adminUrl/,
  },
];

describe('refused with the statement to type, exit 3 and nothing changed, when', () => {
  test.for(obstacles)('$what', async ({ make, undo, says, next }, context) => {
    await apply(make);
    try {
      expect(await attempt()).toMatchObject({
        exitCode: 3,
        error: expect.stringMatching(says),
        next: expect.stringMatching(next),
        changed: [],
      });
    } finally {
      await apply(undo);
    }
    tally(context, 'unchanged');
  });

  test('a superuser has a session open, which its owner may not end', async (context) => {
    const session = new Client({ connectionString: server.url('ledger'), application_name: 'psql' });
    await session.connect();
    try {
      expect(await attempt()).toMatchObject({
        exitCode: 3,
        error: expect.stringMatching(
          /sessions are open .* "app" may not end.*: psql of "postgres" \(process \d+/,
        ),
        changed: [],
      });
    } finally {
      await session.end();
    }
    tally(context, 'unchanged');
  });

  test('somebody has locked a table: within seconds, and it is said who', async (context) => {
    const session = new Client({
      connectionString: server.url('ledger').replace('postgres@', 'app@'),
      application_name: 'a long report',
    });
    await session.connect();
    await session.query('begin; lock table entries in access exclusive mode');
    try {
      const outcome = await runInProcess(ledger.program, localRuntime, [
        ...['--appliance', ledger.directory],
        ...['--yes', 'update'],
      ]);
      expect(outcome).toMatchObject({
        exitCode: 3,
        error: expect.stringMatching(/a table is locked by a long report of "app" \(process \d+/),
      });
    } finally {
      await session.end();
    }
    tally(context, 'unchanged');
  });

  test('pg_dump is older than the server', async (context) => {
    const old: Runtime = {
      ...localRuntime,
      run: async (command, options) =>
        command.args[0] === '--version' && command.file.endsWith('/pg_dump')
          ? { exitCode: 0, stdout: 'pg_dump (PostgreSQL) 11.22 (Debian 11.22-1)\n', stderr: '' }
          : await localRuntime.run(command, options),
    };
    expect(await attempt(old)).toMatchObject({
      exitCode: 3,
      error: expect.stringMatching(/pg_dump is version 11, the server is version \d+/),
      next: expect.stringMatching(/apt-get install -y postgresql-client-\d+/),
      changed: [],
    });
    tally(context, 'unchanged');
  });
});
