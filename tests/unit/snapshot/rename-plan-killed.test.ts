import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { git } from '../support/a-repository.ts';
import { Update, withoutGit } from '../support/an-update.ts';
import { cutShort } from '../support/cut-short.ts';
import { folderInMemory, removeAll } from '../support/temporary-folder.ts';
import { firstRelease, secondRelease } from '../support/two-releases.ts';

/** Times to the nanosecond, links and all. */
function copyTree(from: string, to: string): void {
  removeAll(to);
  execFileSync('cp', ['--archive', from, to]);
}

test(
  'killed before any change of the file system, the way back is the same',
  { timeout: 60_000 },
  async () => {
    const folder = folderInMemory();
    const update = new Update(folder, firstRelease, secondRelease);
    const before = withoutGit(update.directory, 'of files');
    const plan = await update.prepare();
    copyTree(join(folder, 'run'), join(folder, 'prepared'));
    let cuts = 0;
    while (await cutShort(cuts, async () => await update.carryOut(plan))) {
      update.invert(plan);
      expect(withoutGit(update.directory, 'of files')).toEqual(before);
      copyTree(join(folder, 'prepared'), join(folder, 'run'));
      cuts += 1;
    }
    expect(cuts).toBeGreaterThan(40);
    expect(git(update.directory, 'rev-parse', 'HEAD')).toBe(update.to);
  },
);

test(
  'the way back, killed before any change of its own, is simply walked again',
  { timeout: 60_000 },
  async () => {
    const folder = folderInMemory();
    const update = new Update(folder, firstRelease, secondRelease);
    const before = withoutGit(update.directory, 'of files');
    const plan = await update.prepare();
    await update.carryOut(plan);
    for (const name of ['box', 'run']) copyTree(join(folder, name), join(folder, `${name} carried out`));
    let cuts = 0;
    while (await cutShort(cuts, () => update.invert(plan))) {
      update.invert(plan);
      expect(withoutGit(update.directory, 'of files')).toEqual(before);
      for (const name of ['box', 'run']) copyTree(join(folder, `${name} carried out`), join(folder, name));
      cuts += 1;
    }
    expect(cuts).toBeGreaterThan(30);
    expect(withoutGit(update.directory, 'of files')).toEqual(before);
  },
);
