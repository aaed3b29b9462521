import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { execaSync } from 'execa';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { serviceHandle } from '../../orchestrator/appliance/services.ts';
import { attemptUpdate } from '../support/attempt-update.ts';
import { Ledger } from '../support/ledger.ts';
import { release, replaceIn } from '../support/releases.ts';
import { needs } from '../support/needs.ts';

/* Updates that are refused before anything is touched. Each leaves the one installation as it was. */

let ledger: Ledger;
const at = (path: string) => join(ledger.directory, path);
const git = async (...args: string[]) => await ledger.sandbox.git(ledger.directory, ...args);

beforeAll(async () => {
  ledger = await Ledger.install();
  await ledger.sandbox.publish(release(2), { tag: 'v2' });
  await ledger.succeed('update');
  await ledger.sandbox.publish(release(3), { tag: 'v3' });
});

afterAll(async () => {
  await ledger?.destroy();
});

/** Each makes a reason to refuse, and returns how to take it away. */
const refusals: readonly [why: string, make: () => Promise<() => unknown>, says: RegExp, args?: string[]][] =
  [
    [
      'a tracked file was changed',
      async () => {
        writeFileSync(at('scripts/tool.sh'), 'changed by the operator\n');
        return async () => await git('checkout', '--', 'scripts/tool.sh');
      },
      /1 tracked file was changed[^]*scripts\/tool\.sh/,
    ],
    [
      'a change was staged',
      async () => {
        await git('rm', '--quiet', '--cached', 'scripts/tool.sh');
        return async () => await git('reset', '--quiet', '--mixed', 'HEAD');
      },
      /tracked files? (was|were) changed/,
    ],
    [
      'the checkout has a commit of its own',
      async () => {
        const installed = await git('rev-parse', 'HEAD');
        await git('commit', '--quiet', '--allow-empty', '-m', 'a local patch');
        return async () => await git('update-ref', 'HEAD', installed);
      },
      /has commits that it does not descend from/,
    ],
    [
      'the remote does not answer',
      async () => {
        await git('remote', 'set-url', 'origin', join(ledger.sandbox.root, 'no such repository'));
        return async () => await git('remote', 'set-url', 'origin', ledger.sandbox.upstream);
      },
      /cannot reach the remote "origin"/,
    ],
    [
      'an ignored file lies where the target has a tracked one',
      async () => {
        const main = await ledger.sandbox.git(ledger.sandbox.vendor, 'rev-parse', 'HEAD');
        await ledger.sandbox.publish((folder) => {
          replaceIn(folder, '.gitignore', '.env\n', '');
          writeFileSync(join(folder, '.env'), 'A_DEFAULT=of the vendor\n');
        });
        return async () => await ledger.sandbox.publish(() => {}, { onto: main });
      },
      /brings \.env, where the checkout has files of its own/,
    ],
    [
      'git left index.lock behind',
      async () => {
        writeFileSync(at('.git/index.lock'), '');
        return await Promise.resolve(() => rmSync(at('.git/index.lock')));
      },
      /index\.lock/,
    ],
    [
      'an earlier schema migration failed (P3009)',
      async () => {
        await ledger.sql(
          "insert into _prisma_migrations (id, checksum, migration_name) values ('x', 'x', '0009_failed')",
        );
        return async () => await ledger.sql("delete from _prisma_migrations where id = 'x'");
      },
      /0009_failed failed before and blocks all others \(P3009\)/,
    ],
    [
      'the target is older',
      async () => await Promise.resolve(() => {}),
      /older than what is installed/,
      ['--to', 'v1'],
    ],
    [
      'there is no such version',
      async () => await Promise.resolve(() => {}),
      /cannot update to "v99": neither a branch, a tag nor a commit/,
      ['--to', 'v99'],
    ],
    [
      'an unlogged table would be empty after a crash',
      async () => {
        await ledger.sql('create unlogged table sessions (id integer)');
        return async () => await ledger.sql('drop table sessions');
      },
      /unlogged tables are empty after a crash: sessions/,
    ],
  ];

describe('refused, with nothing changed and exit 3, when', () => {
  test.each(refusals)('%s', async (_, make, says, args = []) => {
    const undo = await make();
    try {
      expect(await attemptUpdate(ledger, ...args)).toMatchObject({
        exitCode: 3,
        error: expect.stringMatching(says),
        changed: [],
      });
    } finally {
      await undo();
    }
  });

  test('a stranger listens where a stopped service should', async () => {
    const appliance = ledger.open();
    const { port } = appliance.config.services['web'] ?? {};
    await appliance.runtime.stopService(serviceHandle(appliance, 'web'), {
      signal: 'SIGTERM',
      timeoutMs: 5000,
      kill: 'group',
    });
    const stranger = createServer((socket) => socket.end());
    await new Promise<void>((resolve) => {
      stranger.listen(port, '127.0.0.1', resolve);
    });
    try {
      const outcome = await ledger.run('update');

      expect(outcome).toMatchObject({
        exitCode: 3,
        error: expect.stringContaining(`port ${port} of service web`),
      });
      expect((await ledger.pids())['api']).not.toBe(0);
    } finally {
      await new Promise((resolve) => {
        stranger.close(resolve);
      });
    }
    expect(await ledger.run('setup')).toMatchObject({ exitCode: 0 });
  });

  test('the disk of the snapshots has too little room', async (context) => {
    needs(context, 'mount');
    const small = at('backups');
    execaSync('mv', [small, `${small}.kept`]);
    mkdirSync(small);
    execaSync('mount', ['-t', 'tmpfs', '-o', 'size=1m,mode=0700', 'small', small]);
    try {
      expect(await attemptUpdate(ledger)).toMatchObject({
        exitCode: 3,
        error: expect.stringMatching(/free at .*backups, .* needed \(.*snapshot/),
        changed: [],
      });
    } finally {
      execaSync('umount', [small]);
      rmSync(small, { recursive: true });
      execaSync('mv', [`${small}.kept`, small]);
    }
  });

  test('the target says what this version does not understand', async () => {
    const main = await ledger.sandbox.git(ledger.sandbox.vendor, 'rev-parse', 'HEAD');
    await ledger.sandbox.publish((folder) => {
      replaceIn(folder, 'appliance.yaml', 'version: 1', 'version: 1\nfuture: true');
    });

    // Wrong configuration is exit 2; unchanged all the same.
    expect(await attemptUpdate(ledger)).toMatchObject({
      exitCode: 2,
      error: expect.stringContaining('future'),
      changed: [],
    });
    await ledger.sandbox.publish(() => {}, { onto: main });
  });
});

test('after all these refusals the update goes through', async () => {
  const commit = await ledger.sandbox.publish(() => {});

  expect(await ledger.run('update')).toMatchObject({ exitCode: 0, error: '', result: { to: commit } });
  expect(await ledger.answeringCommit()).toBe(commit);
});
