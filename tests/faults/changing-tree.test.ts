import { spawn } from 'node:child_process';
import { appendFileSync, mkdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { waitFor } from '../../orchestrator/lib/wait.ts';
import { localRuntime } from '../../orchestrator/runtime/local.ts';
import { compareTree } from '../../orchestrator/snapshot/compare-tree.ts';
import { backupFiles, readInventory } from '../../orchestrator/snapshot/files.ts';
import type { SnapshotRoot } from '../../orchestrator/snapshot/manifest.ts';
import { restoreRoot } from '../../orchestrator/snapshot/restore-root.ts';
import { tally } from '../support/fault-tally.ts';
import { Ledger } from '../support/ledger.ts';
import { FaultPlan } from '../support/faults.ts';
import { differences } from '../support/state.ts';
import { captureTree } from '../support/tree-state.ts';
import { applianceIn } from '../unit/support/an-appliance.ts';
import { temporaryFolder } from '../unit/support/temporary-folder.ts';

/*
 * Programs that are no services of the appliance write in its tree while it is backed up. A snapshot is the tree as it
 * was at one moment, or there is none.
 */

let ledger: Ledger;
const at = (path: string) => join(ledger.directory, path);

beforeAll(async () => {
  ledger = await Ledger.install();
  mkdirSync(at('data/logs'));
  writeFileSync(at('data/logs/access.log'), 'first line\n');
  await ledger.sandbox.publish((folder) => writeFileSync(join(folder, 'docs/news.txt'), 'news\n'));
});

afterAll(async () => {
  await ledger?.destroy();
});

describe('a file that changes once while it is being backed up', () => {
  /** A backup of files, at whose one moment something happens. */
  class Backup {
    readonly folder = temporaryFolder();
    readonly appliance = applianceIn(this.folder);
    readonly log = join(this.appliance.directory, 'access.log');
    readonly #snapshot = join(this.folder, 'snapshot');

    async run(when: 'before' | 'after', does: () => void): Promise<SnapshotRoot | undefined> {
      mkdirSync(this.#snapshot);
      writeFileSync(this.log, 'first line\n');
      const faults = new FaultPlan();
      faults.plan({ operation: /^tar --create/, when, does, fails: false });
      const appliance = { ...this.appliance, runtime: faults.wrap(localRuntime) };
      const { roots } = await backupFiles(appliance, appliance.config, this.#snapshot);
      if (!faults.fired) throw new Error('nothing happened while the files were backed up');
      return roots[0];
    }

    /** What a restore brings back, over a tree that lost everything, and what the comparison says to it. */
    async restored(root: SnapshotRoot): Promise<readonly string[]> {
      rmSync(this.log, { force: true });
      const places = { work: join(this.folder, 'work'), failed: join(this.folder, 'failed'), runId: 'now' };
      await restoreRoot(localRuntime, this.#snapshot, root, places);
      const found = await compareTree(root, readInventory(join(this.#snapshot, root.inventory)));
      return [...found.damaged, ...found.folders].map(({ entry, what }) => `${entry.path}: ${what}`);
    }
  }

  test.each<[string, 'before' | 'after', (log: string) => void]>([
    ['grows between its checksum and its archive', 'before', (log) => appendFileSync(log, 'second line\n')],
    ['grows after it was archived', 'after', (log) => appendFileSync(log, 'second line\n')],
    ['is written with as many other bytes', 'before', (log) => writeFileSync(log, 'FIRST LINE\n')],
    ['vanishes before it is archived', 'before', (log) => rmSync(log)],
    ['is rotated', 'after', (log) => renameSync(log, `${log}.1`)],
    ['gets a neighbour', 'after', (log) => writeFileSync(`${log}.1`, '')],
  ])('%s: it is read anew, and what the snapshot says is what it holds', async (_, when, does) => {
    const backup = new Backup();
    const root = await backup.run(when, () => does(backup.log));
    if (!root) throw new Error('no root was saved');
    const was = await captureTree(backup.appliance.directory);

    expect(await backup.restored(root)).toEqual([]);
    expect(differences(was, await captureTree(backup.appliance.directory))).toEqual([]);
  });
});

test('a program that keeps writing and rotating: refused with its name, and nothing has changed', async (context) => {
  const was = await ledger.capture();
  const script =
    'while :; do echo line >> access.log; mv access.log access.log.1; cp access.log.1 access.log; done';
  const writer = spawn('bash', ['-c', script], { cwd: at('data/logs'), stdio: 'ignore' });
  const gone = new Promise((resolve) => writer.once('exit', resolve));
  try {
    await waitFor(() => statSync(at('data/logs/access.log.1'), { throwIfNoEntry: false }) !== undefined, {
      timeoutMs: 10_000,
    });

    expect(await ledger.run('update')).toMatchObject({
      exitCode: 10,
      error: expect.stringMatching(
        /data\/logs\/access\.log.*changed while it was being read, 3 times[^]*"exclude"/,
      ),
      result: { failedStep: 'backup-files', outcome: 'restored' },
    });
  } finally {
    writer.kill('SIGKILL');
    await gone;
  }
  // The folder of the snapshots appears with the first attempt at one.
  const ofOthers = (line: string) => /data\/logs|^directory \.: modified|^git: status/.test(line);
  expect(differences(was, await ledger.capture()).filter((line) => !ofOthers(line))).toEqual([]);
  tally(context, 'unchanged');
});

test('what is excluded may be written all the while', async (context) => {
  const writer = spawn('bash', ['-c', 'while :; do echo line >> thumbs; done'], {
    cwd: at('data/cache'),
    stdio: 'ignore',
  });
  const gone = new Promise((resolve) => writer.once('exit', resolve));
  try {
    expect(await ledger.run('update')).toMatchObject({ exitCode: 0, error: '' });
    tally(context, 'completed');
  } finally {
    writer.kill('SIGKILL');
    await gone;
  }
});
