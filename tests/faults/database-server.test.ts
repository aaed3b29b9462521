import type { Client } from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import * as broken from '../support/broken-releases.ts';
import { Cli } from '../support/cli.ts';
import { backendOf, killPostmaster, openSession } from '../support/database-server.ts';
import { tally } from '../support/fault-tally.ts';
import { interfering, type Interference } from '../support/interference.ts';
import { leftOf, tidyUp, unfinishedRun } from '../support/left-behind.ts';
import { Ledger } from '../support/ledger.ts';
import { release, schemaMigration, type Edit } from '../support/releases.ts';
import { differences } from '../support/state.ts';
import { oneIn } from '../support/thoroughness.ts';

/*
 * The embedded server, or one session of it (then it throws out all others), is killed while something speaks to it. It
 * comes back by itself, and so does the appliance. One installation serves all cases: each leaves it as it found it.
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

type Victim = 'the server' | 'one session';

/** Waits for a session that is at work, and kills it or the whole server. */
async function killWhile(condition: string, victim: Victim): Promise<void> {
  const admin = await openSession(ledger);
  try {
    const pid = await backendOf(admin, condition);
    if (victim === 'the server') killPostmaster(ledger);
    else process.kill(pid, 'SIGKILL');
  } finally {
    await admin.end().catch(() => {});
  }
}

/** A dump waits for a lock that somebody holds: so it is certain to be under way. */
function inDump(victim: Victim): Interference {
  let holder: Client;
  return {
    during: 'backup-database',
    at: /^pg_dump --format/,
    before: async () => {
      holder = await openSession(ledger);
      await holder.query('begin; lock table entries in access exclusive mode');
    },
    meanwhile: async () => {
      await killWhile("application_name like 'holdfast%' and wait_event_type = 'Lock'", victim);
      await holder.end().catch(() => {});
    },
  };
}

const sleeping = "wait_event = 'PgSleep'";
const waitsInSchemaMigration: Edit = (folder) => {
  release(3)(folder);
  schemaMigration(
    folder,
    '0004_waits',
    "insert into entries (note, amount) values ('half', 1); select pg_sleep(300);",
  );
};

interface Case {
  readonly victim: Victim;
  readonly where: string;
  readonly publish: Edit;
  readonly interference: (victim: Victim) => Interference;
}
const cases: readonly Case[] = [
  { victim: 'the server', where: 'the dump', publish: broken.good, interference: inDump },
  { victim: 'one session', where: 'the dump', publish: broken.good, interference: inDump },
  {
    victim: 'the server',
    where: 'a schema migration',
    publish: waitsInSchemaMigration,
    interference: (victim) => ({
      during: 'migrate-schema',
      at: /^node migrate\.js/,
      meanwhile: async () => await killWhile(sleeping, victim),
    }),
  },
  {
    victim: 'one session',
    where: 'a data migration',
    publish: broken.waitsInDataMigration,
    interference: (victim) => ({
      during: 'migrate-data',
      at: /^bash .*run\.sh/,
      meanwhile: async () => await killWhile(sleeping, victim),
    }),
  },
];

describe('killed in an update, the database comes back and with it all that was:', () => {
  test.for(cases)('$victim, in $where', async ({ publish, interference, victim }, context) => {
    await ledger.sandbox.publish(publish, { onto: installed });
    await ledger.post(`acknowledged before ${context.task.name}`, 1);
    const was = await ledger.capture();

    const outcome = await interfering(ledger, interference(victim), 'update');

    expect(outcome).toMatchObject({ exitCode: 10, result: { outcome: 'restored' } });
    expect(differences(was, await ledger.capture())).toEqual([]);
    tally(context, 'restored');
  });
});

/** Where a restore speaks to the server, in order. */
const inRestore = [
  { what: 'as the restore comes to the database', at: /^psql .*rolname = 'app'/ },
  { what: 'before the dump is read back', at: /^pg_restore/ },
  { what: 'before the swap', at: /^psql .*begin; alter database .* rename to/ },
  { what: 'after the swap', at: /^psql .*datconnlimit/ },
];

describe('killed in a restore, it is the next recovery that comes to the end:', () => {
  test.for(oneIn(3, inRestore))('$what', async ({ at }, context) => {
    await ledger.sandbox.publish(broken.badDataMigration, { onto: installed });
    const was = await ledger.capture();

    const outcome = await interfering(
      ledger,
      { during: 'restore', at, before: () => killPostmaster(ledger) },
      'update',
    );
    expect(outcome).toMatchObject({ exitCode: 11, result: { outcome: 'not-restored' } });
    const { run } = unfinishedRun(ledger);

    expect(await Cli.run(ledger, 'recover')).toMatchObject({ exitCode: 10, result: { outcome: 'restored' } });
    expect(differences(was, await ledger.capture())).toEqual([]);
    expect(await leftOf(ledger, run)).toEqual([]);
    tally(context, 'restored');
  });
});
