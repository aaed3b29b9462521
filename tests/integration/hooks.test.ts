import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { findByEnvironment } from '../../orchestrator/lib/processes.ts';
import { waitingMark } from '../support/broken-releases.ts';
import { Cli } from '../support/cli.ts';
import { leftOf, tidyUp, unfinishedRun, untilWaiting } from '../support/left-behind.ts';
import type { Ledger } from '../support/ledger.ts';
import { installPrismaLedger } from '../support/prisma-ledger.ts';
import { dataMigration, replaceIn, schemaMigration, type Edit } from '../support/releases.ts';
import { differences } from '../support/state.ts';

/* Executables of the appliance around the steps of a run, and around each migration. */

let ledger: Ledger;
let installed: string;
const secret = 'swordfish-of-the-ledger';

const hook = (folder: string, path: string, body: string, mode = 0o755) => {
  const file = join(folder, 'hooks', path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, `#!/bin/sh\n${body}\n`);
  chmodSync(file, mode);
};

/** Each tells beside the checkout that it ran, of which version it is, and what it knew. */
const tells = (version: string) =>
  `echo "$HOLDFAST_WHEN $HOLDFAST_STEP ${version} \${HOLDFAST_MIGRATION:--} snapshot:\${HOLDFAST_SNAPSHOT:+yes}" >> ../told
echo "the password is $LEDGER_PASSWORD"`;

const told = () => {
  const file = join(ledger.sandbox.root, 'told');
  const lines = existsSync(file) ? readFileSync(file, 'utf8').trimEnd().split('\n') : [];
  rmSync(file, { force: true });
  return lines;
};

const release =
  (version: string): Edit =>
  (folder) => {
    for (const point of ['preflight', 'stop-services', 'pull-code', 'verify', 'commit'])
      for (const when of ['before', 'after']) hook(folder, `${when}-${point}.d/10-tell`, tells(version));
    for (const when of ['before', 'after'])
      for (const point of ['migration', 'data-migration'])
        hook(folder, `${when}-${point}.d/tell`, tells(version));
    // The order is that of their bytes; what explains, or is a folder, is no hook.
    hook(folder, 'after-commit.d/2-second', 'echo second >> ../told');
    hook(folder, 'after-commit.d/README.md', 'exit 1', 0o644);
    hook(folder, 'after-commit.d/lib/part', 'exit 1');
    replaceIn(folder, 'appliance.yaml', 'backups: {', 'hooks: { timeout: 2s }\nbackups: {');
  };

/** One of the operator's own, which git does not know. */
const own = (path: string, body: string, mode?: number) => hook(ledger.directory, path, body, mode);

beforeAll(async () => {
  ({ ledger } = await installPrismaLedger());
  writeFileSync(join(ledger.directory, '.env'), `LEDGER_PASSWORD=${secret}\n`, { flag: 'a' });
  await ledger.sandbox.publish(release('v1.2'), { tag: 'v1.2.0' });
  await ledger.succeed('update');
  installed = await ledger.sandbox.publish(
    (folder) => {
      for (const point of ['preflight', 'stop-services', 'pull-code', 'verify', 'commit'])
        for (const when of ['before', 'after']) hook(folder, `${when}-${point}.d/10-tell`, tells('v1.3'));
      for (const when of ['before', 'after'])
        for (const point of ['migration', 'data-migration'])
          hook(folder, `${when}-${point}.d/tell`, tells('v1.3'));
      for (const name of ['20260301000000_one', '20260302000000_two'])
        schemaMigration(folder, name, `create table t${name.slice(0, 14)} (i int);`);
      const down = 'api/prisma/migrations/20260302000000_two/down.sql';
      writeFileSync(join(folder, down), 'drop table t20260302000000;');
      dataMigration(folder, '002_more', `await client.query("insert into accounts values ('more', 1)");`);
    },
    { tag: 'v1.3.0' },
  );
  told();
});

afterEach(async () => {
  await tidyUp(ledger);
  told();
});

afterAll(async () => {
  await ledger?.destroy();
});

test('a misspelled step is refused before anything is stopped, here and in a release; so is what a hook refuses', async () => {
  own('before-migrate-shcema.d/10', 'true');
  const refused = await ledger.run('update');
  expect(refused).toMatchObject({
    exitCode: 3,
    error: expect.stringMatching(/^cannot go on: nothing calls hooks\/before-migrate-shcema\.d, /),
  });
  rmSync(join(ledger.directory, 'hooks/before-migrate-shcema.d'), { recursive: true });
  await ledger.sandbox.publish((folder) => hook(folder, 'after-vrify.d/10', 'true'), { onto: installed });
  expect(await ledger.run('update')).toMatchObject({
    exitCode: 3,
    error: expect.stringContaining('nothing calls hooks/after-vrify.d of '),
  });
  own('before-preflight.d/20-no', 'echo not on a Friday >&2; exit 7');
  const was = await ledger.capture();
  const pids = await ledger.pids();
  expect(await ledger.run('update', '--to', 'v1.3.0')).toMatchObject({
    exitCode: 3,
    error: 'hook hooks/before-preflight.d/20-no failed (exit 7): not on a Friday',
    result: { outcome: 'refused' },
  });
  expect(differences(was, await ledger.capture())).toEqual([]);
  expect(await ledger.pids()).toEqual(pids);
  rmSync(join(ledger.directory, 'hooks/before-preflight.d/20-no'));
});

describe('a hook before a step', () => {
  test('that takes too long fails the step: all is as before, and nothing of the hook lives on', async () => {
    // Both its child and one that left its process group.
    own('before-stop-services.d/50-own', 'setsid sleep 300 & sleep 300');
    const was = await ledger.capture();
    const outcome = await ledger.run('update', '--to', 'v1.3.0');
    expect(outcome).toMatchObject({
      exitCode: 10,
      error: 'hook hooks/before-stop-services.d/50-own took longer than 2.0 s',
      result: { outcome: 'restored', failedStep: 'stop-services' },
    });
    expect(differences(was, await ledger.capture())).toEqual([]);
    expect(await leftOf(ledger, String(outcome.result?.['run']))).toEqual([]);
    rmSync(join(ledger.directory, 'hooks/before-stop-services.d/50-own'));
  });

  test('killed with the run in the middle of it: the recovery ends it, and brings everything back', async () => {
    own('before-verify.d/50-own', `setsid sleep 300 & touch ../${waitingMark}; sleep 300`);
    const was = await ledger.capture();
    const cli = Cli.start(ledger, 'update', '--to', 'v1.3.0');
    await untilWaiting(ledger, cli);
    await cli.kill();
    const { run } = unfinishedRun(ledger);
    expect(findByEnvironment('HOLDFAST_RUN', ledger.open().state.run(run)).length).toBeGreaterThan(1);
    expect(await Cli.run(ledger, 'recover')).toMatchObject({ exitCode: 10 });
    expect(differences(was, await ledger.capture())).toEqual([]);
    expect(await leftOf(ledger, run)).toEqual([]);
    rmSync(join(ledger.directory, 'hooks/before-verify.d/50-own'));
  });
});

test('an update with hooks: each at its point, of the version that lies there, with what it is to know', async () => {
  own('after-verify.d/50-fails', 'exit 9');
  own('after-verify.d/60-leaves', 'setsid sleep 300 &');
  own('after-stop-services.d/50-off', 'exit 1', 0o644);
  symlinkSync('nowhere', join(ledger.directory, 'hooks/after-stop-services.d/60-broken'));
  const outcome = await ledger.run('update', '--to', 'v1.3.0');
  expect(outcome).toMatchObject({ exitCode: 0 });
  expect(told()).toEqual([
    'before preflight v1.2 - snapshot:',
    'after preflight v1.2 - snapshot:',
    'before stop-services v1.2 - snapshot:',
    'after stop-services v1.2 - snapshot:',
    'before pull-code v1.2 - snapshot:yes',
    'after pull-code v1.3 - snapshot:yes',
    'before migration v1.3 20260301000000_one snapshot:yes',
    'after migration v1.3 20260301000000_one snapshot:yes',
    'before migration v1.3 20260302000000_two snapshot:yes',
    'after migration v1.3 20260302000000_two snapshot:yes',
    'before data-migration v1.3 002_more snapshot:yes',
    'after data-migration v1.3 002_more snapshot:yes',
    'before verify v1.3 - snapshot:yes',
    'after verify v1.3 - snapshot:yes',
    'before commit v1.3 - snapshot:yes',
    'after commit v1.3 - snapshot:yes',
    'second',
  ]);
  const { run, warnings } = outcome.result as unknown as { run: string; warnings: string[] };
  expect(warnings).toEqual(
    expect.arrayContaining([
      'not executable, so not run as a hook: hooks/after-stop-services.d/50-off, hooks/after-stop-services.d/60-broken',
      'hook hooks/after-verify.d/50-fails failed (exit 9)',
    ]),
  );
  // What one left running is gone with the step.
  expect(await leftOf(ledger, run)).toEqual([]);
  expect(await ledger.sql('select name from accounts where opened = 1')).toContainEqual({ name: 'more' });
  const log = readFileSync(join(ledger.open().state.run(run), 'run.log'), 'utf8');
  expect(log).toContain('hooks/before-verify.d/10-tell: the password is ***');
  expect(log).not.toContain(secret);
});

test('migrate down and migrate deploy call those of their steps and of the migration that they are about', async () => {
  const steps = () => told().map((line) => line.replace(/ snapshot:.*$/, ''));
  expect(await ledger.run('migrate', 'down')).toMatchObject({ exitCode: 0 });
  const around = (...points: string[]) => points.flatMap((point) => [`before ${point}`, `after ${point}`]);
  const [preflight, stop, commit] = ['preflight v1.3 -', 'stop-services v1.3 -', 'commit v1.3 -'] as const;
  expect(steps()).toEqual([...around(preflight, stop, commit), 'second']);
  expect(await ledger.run('migrate', 'deploy')).toMatchObject({ exitCode: 0 });
  const migration = 'migration v1.3 20260302000000_two';
  const verify = 'verify v1.3 -';
  expect(steps()).toEqual([...around(preflight, stop, migration, verify, commit), 'second']);
});

test('setup, which may be run again at any time, says which of them would never run', async () => {
  own('after-commit.d/50-off', 'true', 0o644);
  const again = await ledger.run('setup');
  expect(again).toMatchObject({ exitCode: 0, error: '' });
  expect(again.events).toContainEqual({
    type: 'warning',
    message: expect.stringMatching(/^not executable, so not run as a hook: .*hooks\/after-commit\.d\/50-off/),
  });
  own('before-strat.d/10', 'true');
  expect(await ledger.run('setup')).toMatchObject({
    exitCode: 3,
    error: expect.stringMatching(/^cannot go on: nothing calls hooks\/before-strat\.d, /),
  });
});
