import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { runMark } from '../../orchestrator/appliance/appliance.ts';
import { commandName, findByEnvironment } from '../../orchestrator/lib/processes.ts';
import { good, waitingMark, waitsInInstallation } from '../support/broken-releases.ts';
import { Cli } from '../support/cli.ts';
import { backendOf, openSession } from '../support/database-server.ts';
import { tally } from '../support/fault-tally.ts';
import { Knocker } from '../support/knocker.ts';
import { leftOf, tidyUp, unfinishedRun, untilWaiting } from '../support/left-behind.ts';
import { Ledger } from '../support/ledger.ts';
import { needs } from '../support/needs.ts';
import { release, replaceIn, type Edit } from '../support/releases.ts';
import { differences } from '../support/state.ts';

/*
 * The orchestrator alone is killed, and what it had started works on. It is found and ended before anything is brought
 * back: else it would go on in the midst of that.
 */

let ledger: Ledger;
let installed: string;

beforeAll(async () => {
  ledger = await Ledger.install();
  installed = await ledger.sandbox.publish(release(2), { tag: 'v2' });
  await ledger.succeed('update');
});

afterEach(async () => {
  await tidyUp(ledger);
});

afterAll(async () => {
  await ledger?.destroy();
});

/** Names of the living programs of a run. */
function living(run: string): string[] {
  return findByEnvironment('HOLDFAST_RUN', runMark(ledger.open(), run)).map(commandName);
}

async function recovered(run: string): Promise<unknown> {
  const end = await Cli.run(ledger, 'recover');
  // What it said is what helps, where it did not end well.
  expect(end).toMatchObject({ exitCode: 10 });
  expect(await leftOf(ledger, run)).toEqual([]);
  return end;
}

test('npm, and a grandchild of it in a session of its own', async (context) => {
  await ledger.sandbox.publish(waitsInInstallation, { onto: installed });
  const was = await ledger.capture();
  const cli = Cli.start(ledger, 'update');
  await untilWaiting(ledger, cli);
  await cli.kill();
  const { run } = unfinishedRun(ledger);
  expect(living(run)).toEqual(expect.arrayContaining([expect.stringMatching(/^npm/), 'sleep']));

  expect(await recovered(run)).toMatchObject({ exitCode: 10 });

  expect(differences(was, await ledger.capture())).toEqual([]);
  tally(context, 'restored');
});

/** Locks a table, over the socket; the fence throws it out, and it comes again. Returns how to let go. */
function holdLock(table: string): () => Promise<void> {
  const stop = new AbortController();
  const hold = async () => {
    const session = await openSession(ledger);
    const end = new Promise((resolve) => session.once('end', resolve));
    stop.signal.addEventListener('abort', () => void session.end().catch(() => {}));
    await session.query(`begin; lock table only ${table} in access exclusive mode`);
    await end;
  };
  const holding = (async () => {
    while (!stop.signal.aborted) {
      await hold().catch(() => {});
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  })();
  return async () => {
    stop.abort();
    await holding;
  };
}

test('pg_dump that waits for a lock, which would hold its own locks for ever', async (context) => {
  needs(context, 'postgresql');
  await ledger.sandbox.publish(good, { onto: installed });
  // The parent of partitions has no rows to count: nobody but pg_dump asks for it.
  await ledger.sql('create table parts (id int) partition by range (id)');
  const was = await ledger.capture();
  const cli = Cli.start(ledger, 'update');
  await cli.reached('stop-services', 'apply', 'started');
  const letGo = holdLock('parts');
  const watch = await openSession(ledger, 'postgres');
  const dump = await backendOf(watch, "query like '%LOCK TABLE%' and wait_event_type = 'Lock'");
  await cli.kill();
  const { run, phase } = unfinishedRun(ledger);
  expect(phase).toBe('window');
  expect(living(run)).toContain('pg_dump');

  const recovery = await Cli.run(ledger, 'recover');
  const { rows } = await watch.query(`select pid from pg_stat_activity where pid = ${dump}`);
  await watch.end();
  await letGo();

  expect(recovery).toMatchObject({ exitCode: 10 });
  expect(rows).toEqual([]);
  expect(await leftOf(ledger, run)).toEqual([]);
  expect(differences(was, await ledger.capture())).toEqual([]);
  await ledger.sql('drop table parts');
  tally(context, 'restored');
});

/**
 * The schema migrations' command starts an orphan: in a session of its own, without the mark of the run, as a wrapper
 * with `env -i` or `sudo` does. It holds Prisma's advisory lock, writes on, and reconnects whenever it is thrown out;
 * it gives up when it is not let in.
 */
const leavesAMigrator: Edit = (folder) => {
  good(folder);
  writeFileSync(
    join(folder, 'api/orphan.js'),
    `import { writeFileSync } from 'node:fs';
import pg from 'pg';
for (let number = 0; ; number += 1) {
  const client = new pg.Client({ connectionString: process.argv[2] });
  const broken = new Promise((resolve) => client.on('error', resolve));
  try {
    await client.connect();
  } catch (error) {
    if (error.code === '28000') process.exit(0);
    continue;
  }
  try {
    await client.query('select pg_advisory_lock(72707369)');
    for (;;) {
      await client.query("insert into entries (note, amount) values ('by an orphan', 1)");
      if (number === 0) writeFileSync('../../${waitingMark}', '');
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  } catch {
    await broken;
  }
}
`,
  );
  replaceIn(
    folder,
    'api/migrate.js',
    'await client.end();',
    `const { spawn } = await import('node:child_process');
spawn('setsid', ['env', '-i', process.execPath, 'orphan.js', process.env.DATABASE_URL], { stdio: 'ignore' });
await new Promise((resolve) => setTimeout(resolve, 300_000));`,
  );
};

test("an orphaned migrator without the run's mark, which holds Prisma's advisory lock and reconnects", async (context) => {
  needs(context, 'postgresql');
  await ledger.sandbox.publish(leavesAMigrator, { onto: installed });
  const was = await ledger.capture();
  const cli = Cli.start(ledger, 'update');
  await untilWaiting(ledger, cli);
  await cli.kill();
  const { run } = unfinishedRun(ledger);

  expect(await recovered(run)).toMatchObject({ exitCode: 10 });

  expect(differences(was, await ledger.capture())).toEqual([]);
  expect(await ledger.sql('select pid from pg_locks where objid = 72707369 and granted')).toEqual([]);
  rmSync(join(ledger.sandbox.root, waitingMark), { force: true });
  tally(context, 'restored');
});

test('a program with the credentials of the application that reconnects in a loop is kept out all the while', async (context) => {
  needs(context, 'postgresql');
  await ledger.sandbox.publish(waitsInInstallation, { onto: installed });
  const was = await ledger.sql('select id, note from entries order by id');
  const url = (await ledger.open().database?.environment())?.['DATABASE_URL'] ?? '';
  const cron = Knocker.start(url);
  const cli = Cli.start(ledger, 'update');
  await untilWaiting(ledger, cli);
  await cli.kill();
  const { run } = unfinishedRun(ledger);
  expect(cron.refused).toBeGreaterThan(0);

  expect(await recovered(run)).toMatchObject({ exitCode: 10 });

  const kept = await cron.stop();
  const rows = await ledger.sql('select id, note from entries order by id');
  expect(kept.length).toBeGreaterThan(1);
  expect(rows.slice(0, was.length)).toEqual(was);
  expect(rows.slice(was.length).map(({ note }) => note)).toEqual(kept);
  expect(existsSync(join(ledger.directory, 'api/wait.js'))).toBe(false);
  tally(context, 'restored');
});
