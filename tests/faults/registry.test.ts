import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { waitingMark } from '../support/broken-releases.ts';
import { Cli } from '../support/cli.ts';
import { tally } from '../support/fault-tally.ts';
import { leftOf, tidyUp, unfinishedRun, untilWaiting } from '../support/left-behind.ts';
import { Ledger } from '../support/ledger.ts';
import { needs } from '../support/needs.ts';
import { dataMigration, release, replaceIn, type Edit } from '../support/releases.ts';
import { differences } from '../support/state.ts';

/*
 * The registry of data migrations and the rows that they changed belong together: whatever happens to either, no
 * migration runs twice on the same rows.
 */

const registry = 'api/data-migrations/registry.json';
let ledger: Ledger;
let installed: string;
const path = () => join(ledger.directory, registry);
const recorded = () =>
  (JSON.parse(readFileSync(path(), 'utf8')) as { migrations: { id: string }[] }).migrations.map(
    ({ id }) => id,
  );
const once = async () =>
  await ledger.sql("select cast(count(*) as int) as times from entries where note = 'once'");

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

/** A migration that must not run twice: nothing in it would notice. */
const notTwice: Edit = (folder) => {
  release(3)(folder);
  dataMigration(
    folder,
    '004_not_twice',
    'await client.query("insert into entries (note, amount) values (\'once\', 1)");',
  );
};

/** Its rows are committed, and the record of it is not written yet. */
const waitsBeforeRecording: Edit = (folder) => {
  notTwice(folder);
  replaceIn(
    folder,
    'api/data-migrations/record.js',
    "renameSync('registry.json.new'",
    `if (id === '004_not_twice') {
  writeFileSync('../../../${waitingMark}', '');
  await new Promise((resolve) => setTimeout(resolve, 300_000));
}
renameSync('registry.json.new'`,
  );
};

test('killed between the commit of the rows and the record: both come back together, and the next update runs it once', async (context) => {
  await ledger.sandbox.publish(waitsBeforeRecording, { onto: installed });
  const was = await ledger.capture();
  const cli = Cli.start(ledger, 'update');
  await untilWaiting(ledger, cli);
  await cli.kill();
  const { run } = unfinishedRun(ledger);

  expect(await Cli.run(ledger, 'recover')).toMatchObject({ exitCode: 10, result: { outcome: 'restored' } });

  expect(differences(was, await ledger.capture())).toEqual([]);
  expect(await leftOf(ledger, run)).toEqual([]);
  expect(await once()).toEqual([{ times: 0 }]);
  tally(context, 'restored');

  await ledger.sandbox.publish(notTwice, { onto: installed });
  expect(await ledger.run('update')).toMatchObject({ exitCode: 0 });
  expect(await once()).toEqual([{ times: 1 }]);
  expect(recorded()).toEqual(['001_open_accounts', '002_release', '003_release', '004_not_twice']);
  expect(await ledger.run('rollback')).toMatchObject({ exitCode: 0 });
  expect(await once()).toEqual([{ times: 0 }]);
  expect(recorded()).toEqual(['001_open_accounts', '002_release']);
});

describe('a registry that would let migrations run again is refused, exit 3 and nothing changed:', () => {
  test.for([
    {
      what: 'it is missing',
      make: () => rmSync(path()),
      says: /is missing; 2 data migrations would run again/,
    },
    { what: 'it is empty', make: () => writeFileSync(path(), ''), says: /is empty; 2 data migrations/ },
    {
      what: 'half of it is there',
      make: () => writeFileSync(path(), readFileSync(path()).subarray(0, 40)),
      says: /is not whole/,
    },
    {
      what: 'it is another document',
      make: () => writeFileSync(path(), '[]'),
      says: /has no list "migrations"/,
    },
    {
      what: 'it is a directory',
      make: () => {
        rmSync(path());
        mkdirSync(path());
      },
      says: /cannot be read \(EISDIR/,
    },
  ])('$what', async ({ make, says }, context) => {
    const kept = `${path()}.kept`;
    renameSync(path(), kept);
    writeFileSync(path(), readFileSync(kept));
    make();
    await ledger.sandbox.publish(notTwice, { onto: installed });
    const was = await ledger.capture();
    const pids = await ledger.pids();
    try {
      expect(await ledger.run('update')).toMatchObject({
        exitCode: 3,
        error: expect.stringMatching(says),
        next: expect.stringMatching(
          /^(?:mv '.*' '.*' && )?cp '.*\/backups\/[\d-]+\/registry\.json' '.*\/registry\.json' brings back the one of [\d-]+; what has run since/,
        ),
      });
      expect(await ledger.pids()).toEqual(pids);
      expect(differences(was, await ledger.capture())).toEqual([]);
    } finally {
      rmSync(path(), { recursive: true, force: true });
      renameSync(kept, path());
    }
    tally(context, 'unchanged');
  });
});

test('a rollback needs no registry, it brings the one of its backup; a directory in its place is moved first', async (context) => {
  const was = await ledger.capture();
  await ledger.sandbox.publish(notTwice, { onto: installed });
  await ledger.succeed('update');
  rmSync(path());
  mkdirSync(path());
  const refused = await ledger.run('rollback');
  expect(refused).toMatchObject({ exitCode: 3, error: expect.stringMatching(/ is no file$/) });
  expect(/^mv '(.*)' '.*', then try again/.exec(refused.next ?? '')?.[1]).toBe(path());

  rmSync(path(), { recursive: true });
  expect(await ledger.run('rollback')).toMatchObject({ exitCode: 0, error: '' });
  expect(differences(was, await ledger.capture())).toEqual([]);
  expect(recorded()).toEqual(['001_open_accounts', '002_release']);
  tally(context, 'restored');
});

describe('a registry that is missing, where the database has the table of the engine,', () => {
  const without = `${registry}.kept`;
  /** Of a vendor whose engine keeps such a table: it makes the file anew. */
  const rebuilds: Edit = (folder) => {
    release(4)(folder);
    writeFileSync(
      join(folder, 'api/data-migrations/run.sh'),
      'cp "$(dirname "$0")/registry.json.kept" "$(dirname "$0")/registry.json"\n',
    );
  };
  const table = async (state: string) =>
    await ledger.sql(`create schema holdfast;
      create table holdfast.data_migrations (id text primary key, state text not null, exported_at timestamptz);
      insert into holdfast.data_migrations values ('001_open_accounts', '${state}', now()), ('002_release', '${state}', now());`);

  beforeEach(async (context) => {
    needs(context, 'postgresql');
    renameSync(path(), join(ledger.directory, without));
    await ledger.sandbox.publish(rebuilds, { onto: installed });
  });
  afterEach(async () => {
    renameSync(join(ledger.directory, without), path());
    await ledger.sql('drop schema if exists holdfast cascade');
  });

  test('is refused where the table does not know of any that was applied', async (context) => {
    await table('PENDING');
    const was = await ledger.capture();
    expect(await ledger.run('update')).toMatchObject({
      exitCode: 3,
      error: expect.stringMatching(/is missing; 2 data migrations would run again/),
    });
    expect(differences(was, await ledger.capture())).toEqual([]);
    tally(context, 'unchanged');
  });

  test('is made anew by the engine', async (context) => {
    await table('COMPLETED');
    expect(await ledger.run('update')).toMatchObject({ exitCode: 0, result: { outcome: 'updated' } });
    expect(recorded()).toContain('002_release');
    await ledger.succeed('rollback');
    tally(context, 'completed');
  });
});

describe('a registry that git tracks, as older appliances have it,', () => {
  test('is told, and stays as it is here, whatever releases bring', async (context) => {
    const before = recorded();
    const tracking = await ledger.sandbox.publish(
      (folder) => {
        replaceIn(folder, '.gitignore', 'api/data-migrations/registry.json\n', '');
        writeFileSync(join(folder, registry), '{"migrations":[]}\n');
      },
      { onto: installed },
    );

    const first = await ledger.run('update');
    expect(first).toMatchObject({ exitCode: 0 });
    expect(first.result?.['warnings']).toEqual([
      expect.stringMatching(/git tracks the registry .*git rm --cached/),
    ]);
    expect(recorded()).toEqual(before);

    // It makes the checkout look changed, which must not keep the next update from running; and that one may fail.
    await ledger.sandbox.publish(
      (folder) => {
        writeFileSync(join(folder, registry), '{"migrations":[{"id":"of the vendor"}]}\n');
        dataMigration(folder, '003_fails', "throw new Error('fails');");
      },
      { onto: tracking },
    );
    const was = await ledger.capture();
    expect(await ledger.run('update')).toMatchObject({ exitCode: 10, result: { outcome: 'restored' } });
    expect(differences(was, await ledger.capture())).toEqual([]);
    tally(context, 'restored');
  });

  test('and stays when a release no longer tracks it', async (context) => {
    const before = recorded();
    const tracking = await ledger.sandbox.installedCommit();
    await ledger.sandbox.publish(
      (folder) => {
        rmSync(join(folder, registry));
        writeFileSync(
          join(folder, '.gitignore'),
          `${readFileSync(join(folder, '.gitignore'), 'utf8')}registry.json\n`,
        );
        dataMigration(folder, '003_more', "await client.query('select 1');");
      },
      { onto: tracking },
    );
    expect(await ledger.run('update')).toMatchObject({ exitCode: 0 });
    expect(recorded()).toEqual([...before, '003_more']);
    expect(await ledger.sandbox.git(ledger.directory, 'status', '--porcelain', '--untracked-files=no')).toBe(
      '',
    );
    tally(context, 'completed');
  });
});
