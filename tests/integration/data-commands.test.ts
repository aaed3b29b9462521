import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { listSnapshots } from '../../orchestrator/snapshot/store.ts';
import { waitingMark } from '../support/broken-releases.ts';
import { Cli } from '../support/cli.ts';
import { tidyUp, untilWaiting } from '../support/left-behind.ts';
import { Ledger } from '../support/ledger.ts';
import { dataMigration, release, replaceIn } from '../support/releases.ts';
import { differences } from '../support/state.ts';

/* `./run.sh data ...`: the appliance's own run.sh does it, under the lock of the appliance where it changes anything. */

const folder = 'api/data-migrations';
const done = ['001_open_accounts', '002_release'];
let ledger: Ledger;

const path = (name: string) => join(ledger.directory, folder, name);
const recorded = () =>
  (
    JSON.parse(readFileSync(path('registry.json'), 'utf8')) as {
      migrations: { id: string; status: string }[];
    }
  ).migrations.map(({ id, status }) => (status === 'success' ? id : `${id}: ${status}`));

/** Writes a data migration into the checkout, as a vendor's developer does. It is gone after the test. */
function write(name: string, body: string): void {
  dataMigration(ledger.directory, name, body);
  mine.push(path(`${name}.ts`));
}
const mine: string[] = [];

/** As an operator types it, without --json and --yes. */
function typed(...argv: string[]) {
  const { program, directory } = ledger;
  return spawnSync(program.node, [join(program.runner, 'main.mjs'), '--appliance', directory, ...argv], {
    encoding: 'utf8',
    env: { ...process.env, HOLDFAST_HOME: program.home },
  });
}

beforeAll(async () => {
  ledger = await Ledger.install();
  await ledger.sandbox.publish(release(2), { tag: 'v2' });
  await ledger.succeed('update');
});

afterEach(async () => {
  await tidyUp(ledger);
  for (const file of mine.splice(0)) rmSync(file, { force: true });
  const kept = {
    migrations: done.map((id) => ({ id, appliedAt: new Date(0), executionTimeMs: 1, status: 'success' })),
  };
  writeFileSync(path('registry.json'), JSON.stringify(kept));
});

afterAll(async () => {
  await ledger?.destroy();
});

test('status and list say what the appliance says, and change nothing', async () => {
  write('003_more', "await client.query('select 1');");
  const was = await ledger.capture();
  for (const command of ['status', 'list']) {
    const cli = await Cli.run(ledger, 'data', command);
    expect(cli).toMatchObject({ exitCode: 0, result: { ok: true, command: `data ${command}` } });
    expect(await ledger.run('data', command)).toMatchObject({
      events: [...done.map((id) => `${id}: done`), '003_more: pending'].map((message) => ({
        type: 'say',
        message,
      })),
    });
  }
  expect(differences(was, await ledger.capture())).toEqual([]);
});

test('for people its lines stand as they are, and nothing is added', () => {
  const { stdout, status } = typed('data');
  expect({ stdout, status }).toEqual({ stdout: '001_open_accounts: done\n002_release: done\n', status: 0 });
});

test('run runs what is pending, run ID only that one, and --dry-run nothing', async () => {
  write('003_one', "await client.query('select 1');");
  write('004_two', "await client.query('select 1');");
  const was = await ledger.capture();
  const planned = await ledger.run('data', 'run', '--dry-run');
  expect(planned.events).toEqual(
    ['would run 003_one', 'would run 004_two'].map((message) => ({ type: 'say', message })),
  );
  expect(differences(was, await ledger.capture())).toEqual([]);

  expect(await ledger.run('data', 'run', '004_two')).toMatchObject({ exitCode: 0 });
  expect(recorded()).toEqual([...done, '004_two']);
  expect(await ledger.run('data', 'run')).toMatchObject({ exitCode: 0 });
  expect(recorded()).toEqual([...done, '004_two', '003_one']);
});

test('one that fails: exit 1, its words, and how to go on; retry and skip are passed on', async () => {
  write('003_fails', "throw new Error('row 7 has no name');");
  expect(await ledger.run('data', 'run')).toMatchObject({
    exitCode: 1,
    result: { ok: false, exitCode: 1 },
    error: expect.stringContaining('Node.js'),
    next: 'mend the cause, then ./run.sh data retry 003_fails',
    events: expect.arrayContaining([{ type: 'say', message: 'Error: row 7 has no name' }]),
  });
  expect(recorded()).toEqual([...done, '003_fails: failed']);
  expect(await ledger.run('data', 'retry', '003_fails')).toMatchObject({ exitCode: 1 });
  write('003_fails', "await client.query('select 1');");
  expect(await ledger.run('data', 'retry', '003_fails')).toMatchObject({ exitCode: 0 });
  expect(recorded()).toEqual([...done, '003_fails']);

  write('004_skipped', "throw new Error('never');");
  expect(await Cli.run(ledger, 'data', 'skip', '004_skipped')).toMatchObject({ exitCode: 2 });
  expect(await ledger.run('data', 'skip', '004_skipped', '--reason', 'not here')).toMatchObject({
    exitCode: 0,
  });
  expect(recorded()).toEqual([...done, '003_fails', '004_skipped: skipped']);
});

test('what an older run.sh does not know is refused in its own words, exit 3', async () => {
  for (const args of [
    ['rerun', '002_release'],
    ['new', 'more'],
  ])
    expect(await ledger.run('data', ...args)).toMatchObject({
      exitCode: 3,
      error: `this run.sh knows no --${args[0]}`,
    });
});

test('the events of an engine that speaks JSON come as they come, and its last word is in the result', async () => {
  const kept = readFileSync(path('run.sh'), 'utf8');
  writeFileSync(
    path('run.sh'),
    `[ "$*" = "--json" ] || exit 9
echo '{"type":"migration-started","id":"003_x"}'
echo '{"type":"result","ok":false,"exitCode":4,"error":"another runner is at work"}'
exit 4
`,
  );
  try {
    const outcome = await ledger.run('data', 'run');
    expect(outcome).toMatchObject({ exitCode: 4, error: 'another runner is at work' });
    expect(outcome.events).toEqual([
      { type: 'data-migrations', event: { type: 'migration-started', id: '003_x' } },
    ]);
  } finally {
    writeFileSync(path('run.sh'), kept);
  }
});

const waits = `const { writeFileSync } = await import('node:fs');
process.on('SIGTERM', () => {
  writeFileSync(new URL('../../../stopped', import.meta.url), '');
  process.exit(1);
});
writeFileSync(new URL('../../../${waitingMark}', import.meta.url), '');
await new Promise((resolve) => setTimeout(resolve, 60_000));`;

test('while one runs everybody else is told, exit 4, and Ctrl-C reaches it', async () => {
  write('003_waits', waits);
  const cli = Cli.start(ledger, 'data', 'run');
  await untilWaiting(ledger, cli);

  for (const other of [['update'], ['data', 'run'], ['data', 'down', '002_release']]) {
    const refused = await Cli.run(ledger, ...other);
    expect(refused).toMatchObject({ exitCode: 4 });
    expect(refused.result?.['error']).toMatch(/: the data run of \d\d:\d\d \(pid \d+, .*\) is at work/);
  }
  expect(await Cli.run(ledger, 'data', 'status')).toMatchObject({ exitCode: 0 });

  cli.signal('SIGINT');
  expect(await cli.ended).toMatchObject({
    exitCode: 130,
    result: { error: expect.stringMatching(/^interrupted by SIGINT/) },
  });
  expect(existsSync(join(ledger.sandbox.root, 'stopped'))).toBe(true);
});

test('while an update runs, or was killed in the middle, nothing is changed beside it', async () => {
  write('003_waits', waits);
  await ledger.sandbox.publish(release(3), { tag: 'v3' });
  const cli = Cli.start(ledger, 'update');
  await untilWaiting(ledger, cli);
  for (const args of [['run'], ['run', '--dry-run'], ['new', 'more'], ['skip', '003_waits', '--reason', 'x']])
    expect(await Cli.run(ledger, 'data', ...args)).toMatchObject({
      exitCode: 4,
      result: { error: expect.stringMatching(/the update of .* is at "data migrations"/) },
    });
  expect(await Cli.run(ledger, 'data', 'list')).toMatchObject({ exitCode: 0 });

  await cli.kill();
  expect(await Cli.run(ledger, 'data', 'run', '--dry-run')).toMatchObject({
    exitCode: 3,
    result: { next: expect.stringMatching(/ recover$/) },
  });
  expect(await Cli.run(ledger, 'data', 'skip', '003_waits', '--reason', 'x')).toMatchObject({ exitCode: 0 });
  expect(ledger.open().state.unfinishedRun()).toBeUndefined();
});

test('down takes a snapshot first, and a rollback to it brings everything back', async () => {
  write('003_note', `await client.query("update entries set note = note || ' noted'");`);
  mkdirSync(path('down'), { recursive: true });
  mine.push(path('down/003_note.ts'));
  writeFileSync(
    path('down/003_note.ts'),
    `import { database } from '../../data-migration.js';
await using client = await database();
await client.query("update entries set note = note || ' taken back'");
`,
  );
  expect(await ledger.run('data', 'down', '003')).toMatchObject({
    exitCode: 3,
    error: expect.stringMatching(/003_note is PENDING/),
  });
  expect(await ledger.run('data', 'down', '999')).toMatchObject({
    exitCode: 3,
    error: expect.stringMatching(/no "999"/),
  });
  await ledger.succeed('data', 'run');
  const was = await ledger.capture();
  const before = ledger.open().state.runIds().length;
  expect(typed('data', 'down', '003')).toMatchObject({
    status: 2,
    stdout: '',
    stderr: expect.stringMatching(/cannot ask for your consent/),
  });

  const down = await ledger.run('data', 'down', '003');

  expect(down).toMatchObject({ exitCode: 0, result: { ok: true, command: 'data down', id: '003_note' } });
  expect(down.text).toMatch(/Back: \.\/run\.sh rollback \d{8}-\d{6}/);
  expect(ledger.open().state.runIds()).toHaveLength(before + 1);
  expect(await ledger.notes()).toContain('opening noted taken back');
  expect(recorded()).toEqual(done);

  await ledger.succeed('rollback', String(down.result?.['snapshot']));
  expect(differences(was, await ledger.capture())).toEqual([]);
  expect(await ledger.notes()).toContain('opening noted');

  // The name of the first snapshot is taken; and after the snapshot Ctrl-C stops it.
  writeFileSync(path('down/003_note.ts'), waits.replaceAll('../../../', '../../../../'));
  const cli = Cli.start(ledger, 'data', 'down', '003_note');
  await untilWaiting(ledger, cli);
  cli.signal('SIGTERM');
  expect(await cli.ended).toMatchObject({ exitCode: 143 });
  const names = listSnapshots(ledger.open().backupsDirectory).map(({ manifest }) => manifest?.name);
  expect(names).toEqual(expect.arrayContaining(['before-down-003_note', 'before-down-003_note-2']));
});

test('an appliance without data migrations is told the lines to add', async () => {
  replaceIn(ledger.directory, 'appliance.yaml', '  dataMigrations: { dir: api/data-migrations }\n', '');
  try {
    for (const args of [['status'], ['run'], ['down', '001']])
      expect(await ledger.run('data', ...args)).toMatchObject({
        exitCode: 3,
        error: expect.stringMatching(/names none$/),
        next: expect.stringContaining('prisma:\n  dataMigrations: { dir: api/prisma/data-migrations }'),
      });
  } finally {
    replaceIn(
      ledger.directory,
      'appliance.yaml',
      '  deploy: node migrate.js\n',
      '  deploy: node migrate.js\n  dataMigrations: { dir: api/data-migrations }\n',
    );
  }
});

test('before a setup it can be looked at, and nothing run', async () => {
  const fresh = await Ledger.create();
  try {
    for (const args of [['run'], ['run', '--dry-run'], ['down', '001']])
      expect(await fresh.run('data', ...args)).toMatchObject({ exitCode: 3, next: './run.sh setup' });
    expect(await fresh.run('data', 'list')).toMatchObject({
      exitCode: 0,
      events: [{ type: 'say', message: '001_open_accounts: pending' }],
    });
    expect(existsSync(fresh.open().state.postgres)).toBe(false);
  } finally {
    await fresh.destroy();
  }
});
