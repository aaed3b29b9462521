import { appendFileSync, chmodSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { captureGit } from '../support/appliance-state.ts';
import { Sandbox } from '../support/sandbox.ts';
import { differences, mismatches, noMismatch } from '../support/state.ts';
import { lostWrites } from '../support/writer.ts';

/* The question "exactly as before?", asked of checkouts that are not, and of writes that were acknowledged. */

let sandbox: Sandbox;
const at = (path: string) => join(sandbox.directory, path);
const git = async (...args: string[]) => await sandbox.git(sandbox.directory, ...args);

beforeAll(async () => {
  sandbox = await Sandbox.create();
});

afterAll(async () => {
  await sandbox?.destroy();
});

/** Each does something to the checkout, and returns how to take it back. */
const changes: readonly [what: string, change: () => Promise<() => unknown>, expected: string[]][] = [
  [
    'a commit more',
    async () => {
      await git('commit', '--quiet', '--allow-empty', '-m', 'x');
      return async () => await git('update-ref', 'HEAD', 'HEAD^');
    },
    ['git: commit was', 'git: refs was'],
  ],
  [
    'another branch checked out, of the same commit',
    async () => {
      await git('checkout', '--quiet', '-b', 'other');
      return async () => {
        await git('checkout', '--quiet', 'main');
        await git('branch', '--quiet', '-d', 'other');
      };
    },
    ['git: head was ref: refs/heads/main', 'git: refs was'],
  ],
  [
    'a tag more',
    async () => {
      await git('tag', 'mine');
      return async () => await git('tag', '-d', 'mine');
    },
    ['git: refs was'],
  ],
  [
    'a branch of the remote moved',
    async () => {
      const was = await git('rev-parse', 'refs/remotes/origin/main');
      await git('update-ref', '-d', 'refs/remotes/origin/main');
      return async () => await git('update-ref', 'refs/remotes/origin/main', was);
    },
    ['git: refs was'],
  ],
  [
    'a tracked file changed',
    async () => {
      appendFileSync(at('scripts/tool.sh'), 'x');
      return async () => await git('checkout', '--', 'scripts/tool.sh');
    },
    ['git: status was'],
  ],
  [
    'a file that git no longer looks at',
    async () => {
      await git('update-index', '--assume-unchanged', 'scripts/tool.sh');
      return async () => await git('update-index', '--no-assume-unchanged', 'scripts/tool.sh');
    },
    ['git: index was'],
  ],
  [
    'another setting',
    async () => {
      await git('config', 'core.autocrlf', 'true');
      return async () => await git('config', '--unset', 'core.autocrlf');
    },
    ['git: config was'],
  ],
  [
    'a hook more',
    async () => {
      mkdirSync(at('.git/hooks'), { recursive: true });
      writeFileSync(at('.git/hooks/post-merge'), '#!/bin/sh\n');
      chmodSync(at('.git/hooks/post-merge'), 0o755);
      return await Promise.resolve(() => rmSync(at('.git/hooks/post-merge')));
    },
    ['git: others was'],
  ],
  [
    'a lock left behind',
    async () => {
      writeFileSync(at('.git/refs/heads/main.lock'), '');
      return await Promise.resolve(() => rmSync(at('.git/refs/heads/main.lock')));
    },
    ['git: locks was none, is refs/heads/main.lock'],
  ],
];

describe('a checkout is not as before', () => {
  test('unless nothing was done to it', async () => {
    const before = await captureGit(sandbox);
    await git('--no-optional-locks', 'status');
    await git('update-ref', 'refs/holdfast/snapshots/x', 'HEAD');

    expect(differences(before, await captureGit(sandbox))).toEqual([]);
  });

  test.each(changes)('when it has %s', async (_, change, expected) => {
    const before = await captureGit(sandbox);
    const undo = await change();
    const found = differences(before, await captureGit(sandbox));
    await undo();

    // The index notes when files were looked at: it may be another one whenever git wrote it.
    expect(mismatches(found, [...expected, 'git: index was'])).toMatchObject({ unexpected: [] });
    expect(mismatches(found, expected)).toMatchObject({ missing: noMismatch.missing });
  });
});

test('a write that was acknowledged is lost when it is gone, or there twice; what nobody acknowledged may be there', () => {
  expect(lostWrites(['a', 'b'], ['a', 'never acknowledged', 'b'])).toEqual([]);
  expect(lostWrites(['a', 'b'], ['b', 'b'])).toEqual([
    'acknowledged and lost: a',
    'acknowledged once, there 2 times: b',
  ]);
});
