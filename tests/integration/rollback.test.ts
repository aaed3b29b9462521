import { appendFileSync, existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Ledger } from '../support/ledger.ts';
import { release } from '../support/releases.ts';
import { differences, type State } from '../support/state.ts';
import { operations } from '../support/tested-database.ts';

/*
 * Three releases, each with data of its own; then back, further back, and forth again. The remote is unreachable from
 * the first rollback on: the way back needs this machine alone.
 */

let ledger: Ledger;
/** What each release was in the moment when it was updated from. */
const left: State[] = [];

beforeAll(async () => {
  ledger = await Ledger.install();
  // The folder of the snapshots is made once, and stays whatever is rolled back.
  await ledger.succeed('backup', 'create', '--name', 'first');
  for (const number of [2, 3]) {
    await liveOn(`in release ${number - 1}`);
    left.push(await ledger.capture());
    await ledger.sandbox.publish(release(number), { tag: `v${number}` });
    await ledger.succeed('update');
  }
  await ledger.sandbox.git(ledger.directory, 'remote', 'set-url', 'origin', join(ledger.sandbox.root, 'cut'));
});

afterAll(async () => {
  await ledger?.destroy();
});

/** What operators and users do between two updates. */
async function liveOn(when: string): Promise<void> {
  await ledger.post(`entry ${when}`, 7);
  appendFileSync(join(ledger.directory, '.env'), `ADDED="${when}"\n`);
  writeFileSync(join(ledger.directory, 'data/uploads', `upload ${when}`), when);
  rmSync(join(ledger.directory, 'data/cache/thumb'), { force: true });
}

/** All but what a rollback does not touch: the remote, which was cut. */
function notAsLeft(was: State | undefined, is: State): string[] {
  return differences(was ?? new Map(), is).filter((line) => !line.startsWith('git: config was'));
}

describe('with the network cut', () => {
  let third: State;

  test('rollback brings back code, packages, data, secrets, rows and registry of the version before', async () => {
    await liveOn('in release 3');
    third = await ledger.capture();

    const outcome = await ledger.run('rollback');

    expect(outcome).toMatchObject({ exitCode: 0, error: '', result: { outcome: 'rolled-back' } });
    expect(notAsLeft(left[1], await ledger.capture())).toEqual([]);
    expect(await ledger.notes()).not.toContain('entry in release 3');
    expect(existsSync(join(ledger.directory, 'data/uploads/upload in release 3'))).toBe(false);
  });

  test('it says what it sets aside', async () => {
    const { result } = await ledger.run('rollback', '--undo');

    expect(result).toMatchObject({
      exitCode: 0,
      outcome: 'rolled-back',
      setAside: { tables: expect.any(Array) },
    });
  });

  test('rollback --undo brought the newer state back, to the last row and file', async () => {
    expect(differences(third, await ledger.capture())).toEqual([]);
    await ledger.post('written after the undo', 1);
  });

  test('twice in a row goes back across two releases, and builds nothing', async () => {
    expect(await ledger.run('rollback')).toMatchObject({ exitCode: 0, error: '' });
    expect(notAsLeft(left[1], await ledger.capture())).toEqual([]);

    expect(await ledger.run('rollback')).toMatchObject({ exitCode: 0, error: '' });

    // Inodes are compared as well: packages and builds are the very ones.
    expect(notAsLeft(left[0], await ledger.capture())).toEqual([]);
  });

  test('there is no further way back, and it is told; nothing is changed', async () => {
    const was = await ledger.capture();

    const outcome = await ledger.run('rollback');

    expect(outcome).toMatchObject({ exitCode: 3, error: expect.stringMatching(/^cannot roll back/) });
    expect(differences(was, await ledger.capture())).toEqual([]);
  });

  test('a rollback that fails in its middle leaves everything exactly as before', async () => {
    const was = await ledger.capture();

    const outcome = await ledger.failing(
      { step: 'restore-snapshot', operation: operations.readBack, when: 'after' },
      'rollback',
      '--undo',
    );

    expect(outcome).toMatchObject({
      exitCode: 10,
      result: { outcome: 'restored', failedStep: 'restore-snapshot' },
    });
    expect(differences(was, await ledger.capture())).toEqual([]);
  });

  test('--undo after all that brings back the release that was left last', async () => {
    expect(await ledger.run('rollback', '--undo')).toMatchObject({ exitCode: 0, error: '' });

    expect(notAsLeft(left[1], await ledger.capture())).toEqual([]);
  });
});

test('an update works again after rollbacks', async () => {
  await ledger.sandbox.git(ledger.directory, 'remote', 'set-url', 'origin', ledger.sandbox.upstream);

  expect(await ledger.run('update')).toMatchObject({
    exitCode: 0,
    error: '',
    result: { outcome: 'updated' },
  });
  expect(await ledger.answeringCommit()).toBe(
    await ledger.sandbox.git(ledger.sandbox.vendor, 'rev-parse', 'v3'),
  );
});
