import { createServer, type Server } from 'node:http';
import { once } from 'node:events';
import { mkdtempSync, rmSync, statfsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execaSync } from 'execa';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { freePort } from '../../orchestrator/lib/ports.ts';
import { localRuntime } from '../../orchestrator/runtime/local.ts';
import { listSnapshots } from '../../orchestrator/snapshot/store.ts';
import { Cli } from '../support/cli.ts';
import { tally } from '../support/fault-tally.ts';
import { runInProcess } from '../support/in-process.ts';
import { leftOf, tidyUp, unfinishedRun } from '../support/left-behind.ts';
import { Ledger } from '../support/ledger.ts';
import { needs } from '../support/needs.ts';
import { release, replaceIn } from '../support/releases.ts';
import { isThorough } from '../support/thoroughness.ts';

/* After the commit nothing is restored any more. What fails then is a warning, and the update stands. */

let ledger: Ledger;
let deaf: Server;
let next = 3;

/** Somebody to be notified who does everything wrong. */
async function startDeaf(): Promise<Server> {
  const server = createServer((request, response) => {
    if (request.url === '/error') response.writeHead(500).end('no');
    if (request.url === '/drips') {
      response.writeHead(200);
      const drip = setInterval(() => response.write('.'), 20);
      response.once('close', () => clearInterval(drip));
    }
    // Everything else is never answered.
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

beforeAll(async () => {
  deaf = await startDeaf();
  const address = deaf.address();
  const port = typeof address === 'object' && address ? address.port : 0;
  const closed = await freePort();
  ledger = await Ledger.install();
  await ledger.sandbox.publish(
    (folder) => {
      release(2)(folder);
      replaceIn(
        folder,
        'appliance.yaml',
        'backups: { keep: 5 }',
        `backups: { keep: 1 }
notify:
  - { url: 'http://127.0.0.1:${closed}/refuses' }
  - { url: 'http://127.0.0.1:${port}/hangs', timeout: 300ms }
  - { url: 'http://127.0.0.1:${port}/drips', timeout: 300ms }
  - { url: 'http://127.0.0.1:${port}/error' }
  - { command: 'false' }
  - { command: sleep 300, timeout: 300ms }
  - { command: /no/such/program }`,
      );
    },
    { tag: 'v2' },
  );
  await ledger.succeed('update');
});

afterEach(async () => {
  await tidyUp(ledger);
});

afterAll(async () => {
  deaf?.closeAllConnections();
  deaf?.close();
  await ledger?.destroy();
});

/** The next release. */
async function publish(): Promise<string> {
  const commit = await ledger.sandbox.publish(release(next));
  next += 1;
  return commit;
}

describe('the update stands, with a warning and exit 0, when', () => {
  test('nobody whom it notifies hears it, each in another way', async (context) => {
    const commit = await publish();

    const outcome = await ledger.run('update');

    expect(outcome).toMatchObject({ exitCode: 0, result: { outcome: 'updated' } });
    const warnings = outcome.events.flatMap((event) => (event.type === 'warning' ? [event.message] : []));
    // The path of a webhook may be a secret, and is not told.
    const reasons = [
      /:\d+: connect ECONNREFUSED/,
      /:\d+: no whole answer within 300 ms/,
      /:\d+: it answered 500/,
      /notify false: notify failed \(exit 1\)/,
      /notify sleep 300: notify took longer than 300 ms/,
      /notify \/no\/such\/program: .*ENOENT/,
    ];
    // One server hangs, another one drips.
    expect(warnings).toHaveLength(reasons.length + 1);
    for (const reason of reasons) expect(warnings).toContainEqual(expect.stringMatching(reason));
    expect(await ledger.answeringCommit()).toBe(commit);
    expect(ledger.open().state.unfinishedRun()).toBeUndefined();
    tally(context, 'completed');
  });

  test.runIf(isThorough)('pruning fails', async (context) => {
    const commit = await publish();

    const outcome = await ledger.failing(
      { step: 'commit', operation: /^git .*update-ref .*refs\/holdfast\/snapshots/, when: 'before' },
      'update',
    );

    expect(outcome).toMatchObject({
      exitCode: 0,
      result: { outcome: 'updated', warnings: [expect.stringMatching(/injected: git .*update-ref/)] },
    });
    expect(await ledger.answeringCommit()).toBe(commit);
    expect(ledger.open().state.unfinishedRun()).toBeUndefined();
    tally(context, 'completed');
  });

  test.runIf(isThorough)('a snapshot that goes cannot be removed', async (context) => {
    needs(context, 'root');
    const commit = await publish();
    const { backupsDirectory } = ledger.open();
    const [oldest = ''] = execaSync('ls', [backupsDirectory]).stdout.split('\n');
    const file = join(backupsDirectory, oldest, 'manifest.json');
    const immutable = execaSync('chattr', ['+i', file], { reject: false });
    context.skip(immutable.exitCode !== 0, 'this file system knows no immutable files');
    try {
      const outcome = await ledger.run('update');

      expect(outcome).toMatchObject({
        exitCode: 0,
        result: { outcome: 'updated', warnings: [expect.stringMatching(/EPERM/)] },
      });
      expect(await ledger.answeringCommit()).toBe(commit);
      // What is left of it does not pass for a snapshot.
      expect(listSnapshots(backupsDirectory).map(({ id }) => id)).not.toContain(oldest);
    } finally {
      execaSync('chattr', ['-R', '-i', backupsDirectory]);
    }
    tally(context, 'completed');
  });

  test('the database cannot be asked any more: the run stays open, and recover goes on forward', async (context) => {
    needs(context, 'postgresql');
    const commit = await publish();

    const outcome = await ledger.failing(
      { step: 'commit', operation: /^psql/, nth: 2, when: 'before' },
      'update',
    );

    expect(outcome).toMatchObject({
      exitCode: 0,
      result: {
        outcome: 'updated',
        warnings: [expect.stringMatching(/not open to all yet.*run\.sh recover/)],
      },
    });
    expect(unfinishedRun(ledger).phase).toBe('committed');
    expect(await Cli.run(ledger, 'recover')).toMatchObject({ exitCode: 0, result: { outcome: 'after' } });
    expect(await ledger.answeringCommit()).toBe(commit);
    await ledger.post('after it', 1);
    tally(context, 'completed');
  });
});

test('killed right after the record of the commit: recover finishes the new version', async (context) => {
  const commit = await publish();
  const cli = Cli.start(ledger, 'update');
  await cli.until('the record', () => unfinishedRun(ledger).phase === 'committed');
  await cli.kill();
  const { run, phase } = unfinishedRun(ledger);
  expect(phase).toBe('committed');

  expect(await Cli.run(ledger, 'recover')).toMatchObject({ exitCode: 0, result: { outcome: 'after' } });

  expect(await ledger.answeringCommit()).toBe(commit);
  await ledger.post('after the kill', 1);
  expect(await leftOf(ledger, run)).toEqual([]);
  tally(context, 'completed');
});

test('the disk is full from the commit on: the update stands, and is open to all', async (context) => {
  needs(context, 'mount');
  const disk = mkdtempSync(join(tmpdir(), 'small-'));
  execaSync('mount', ['-t', 'tmpfs', '-o', 'size=700m,mode=0755', 'small', disk]);
  vi.stubEnv('TMPDIR', disk);
  let small: Ledger | undefined;
  const filler = join(disk, 'filler');
  try {
    small = await Ledger.install();
    const commit = await small.sandbox.publish(release(2));

    const outcome = await runInProcess(
      small.program,
      localRuntime,
      ['--appliance', small.directory, '--yes', 'update'],
      (event) => {
        if (event.type !== 'step' || event.step !== 'commit' || event.state !== 'finished') return;
        const { bavail, bsize } = statfsSync(disk);
        execaSync('fallocate', ['--length', String(bavail * bsize), filler]);
      },
    );

    expect(outcome).toMatchObject({ exitCode: 0, result: { outcome: 'updated' } });
    expect(small.open().state.unfinishedRun()).toBeUndefined();
    expect(await small.answeringCommit()).toBe(commit);
    tally(context, 'completed');
    rmSync(filler);
    expect(await small.run('backup', 'prune')).toMatchObject({ exitCode: 0 });
  } finally {
    rmSync(filler, { force: true });
    await small?.destroy();
    vi.unstubAllEnvs();
    execaSync('umount', ['--lazy', disk]);
    rmSync(disk, { recursive: true, force: true });
  }
});
