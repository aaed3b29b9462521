import { mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { git } from '../unit/support/a-repository.ts';
import { ref, Update, withoutGit } from '../unit/support/an-update.ts';
import { cutShort } from '../unit/support/cut-short.ts';
import { folderInMemory } from '../unit/support/temporary-folder.ts';

/* Releases that change thousands of files, and one that leaves links to nowhere. */

const count = 5000;
const fill = (folder: string, text: string, from: number) => {
  for (let number = from; number < from + count; number += 1) {
    const path = join(folder, `src/${number % 50}`);
    mkdirSync(path, { recursive: true });
    writeFileSync(join(path, `${number}.txt`), text);
  }
};

test('5,000 files changed, as many removed and added: carried out; taken back from its end, and from its middle', async () => {
  const update = new Update(
    folderInMemory(),
    (folder) => {
      fill(folder, 'old\n', 0);
      fill(folder, 'goes\n', count);
    },
    (folder) => {
      rmSync(join(folder, 'src'), { recursive: true });
      fill(folder, 'new\n', 0);
      fill(folder, 'comes\n', 2 * count);
    },
  );
  const before = withoutGit(update.directory, 'of files');
  const plan = await update.prepare();
  expect(plan.changes).toHaveLength(3 * count);

  await update.carryOut(plan);
  expect(git(update.directory, 'status', '--porcelain')).toBe('');
  expect(git(update.directory, 'rev-parse', ref)).toBe(update.to);
  update.invert(plan);
  expect(withoutGit(update.directory, 'of files')).toEqual(before);

  git(update.directory, 'reset', '--quiet', '--soft', update.from);
  const again = await update.prepare();
  expect(await cutShort(2 * count, async () => await update.carryOut(again))).toBe(true);
  update.invert(again);
  expect(withoutGit(update.directory, 'of files')).toEqual(before);
});

test('a folder that becomes a link to nowhere is carried out, and taken back', async () => {
  const update = new Update(
    folderInMemory(),
    (folder) => {
      mkdirSync(join(folder, 'linked'));
      writeFileSync(join(folder, 'linked/file'), 'in a folder\n');
    },
    (folder) => {
      rmSync(join(folder, 'linked'), { recursive: true });
      symlinkSync('../nowhere', join(folder, 'linked'));
    },
  );
  const before = withoutGit(update.directory, 'of files');
  const plan = await update.prepare();
  await update.carryOut(plan);
  expect(git(update.directory, 'status', '--porcelain')).toBe('');
  update.invert(plan);
  expect(withoutGit(update.directory, 'of files')).toEqual(before);
});
