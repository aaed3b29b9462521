import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { Refusal } from '../../../orchestrator/lib/errors.ts';
import { localRuntime } from '../../../orchestrator/runtime/local.ts';
import { codeArea, parseDiff, preparePlan, readPlan } from '../../../orchestrator/snapshot/rename-plan.ts';
import { git } from '../support/a-repository.ts';
import { ref, Update, withoutGit } from '../support/an-update.ts';
import { removeAll, temporaryFolder } from '../support/temporary-folder.ts';
import { treeFacts } from '../support/tree-facts.ts';
import { firstRelease, secondRelease } from '../support/two-releases.ts';

describe("git's list of changes", () => {
  const zeros = '0'.repeat(40);
  const line = (old: string, now: string, status: string, path: string) =>
    `:${old} ${now} ${zeros} ${zeros} ${status}\0${path}\0`;

  test('is read to the letter, whatever the names hold', () => {
    const raw =
      line('000000', '100644', 'A', 'new \xff\n:name') +
      line('100644', '000000', 'D', 'old') +
      line('100644', '100755', 'M', 'mode') +
      line('100644', '120000', 'T', 'type');
    expect(parseDiff(raw)).toEqual([
      { path: 'new \xff\n:name', kind: 'add' },
      { path: 'old', kind: 'delete' },
      { path: 'mode', kind: 'modify' },
      { path: 'type', kind: 'modify' },
    ]);
    expect(parseDiff('')).toEqual([]);
  });

  test('with a submodule is refused: a rename cannot do that', () => {
    expect(() => parseDiff(line('160000', '160000', 'M', 'vendor/lib'))).toThrow(Refusal);
    expect(() => parseDiff(line('000000', '160000', 'A', 'vendor/lib'))).toThrow(
      'the submodule vendor/lib changes',
    );
  });

  test('that is something else is an error, not an empty plan', () => {
    expect(() => parseDiff('fatal: bad object\0x\0')).toThrow("cannot read git's list of changes");
    expect(() => parseDiff(line('100644', '100644', 'R100', 'x'))).toThrow(
      "cannot read git's list of changes",
    );
  });
});

test('a plan survives the disk', async () => {
  const update = new Update(temporaryFolder(), firstRelease, secondRelease);
  const plan = await update.prepare();
  expect(readPlan(update.area)).toEqual(plan);
  expect(readPlan(codeArea('/nowhere'))).toBeUndefined();
});

test('preparing touches nothing of the checkout, of the index and of the branches', async () => {
  const update = new Update(temporaryFolder(), firstRelease, secondRelease);
  const before = treeFacts(update.directory, { except: ['.git/objects'] });
  await update.prepare();
  expect(treeFacts(update.directory, { except: ['.git/objects'] })).toEqual(before);
});

test('carried out, the tree is what a checkout makes, and git finds nothing changed', async () => {
  const folder = temporaryFolder();
  const update = new Update(folder, firstRelease, secondRelease);
  writeFileSync(join(update.directory, 'ignored.log'), "the operator's");
  await update.carryOut(await update.prepare());
  expect(git(update.directory, 'status', '--porcelain')).toBe('');
  expect(git(update.directory, 'rev-parse', ref)).toBe(update.to);
  expect(git(update.directory, 'symbolic-ref', 'HEAD')).toBe(ref);
  rmSync(join(update.directory, 'ignored.log'));
  git(folder, 'clone', '--quiet', '--no-checkout', update.directory, 'plain');
  git(join(folder, 'plain'), 'checkout', '--quiet', update.to);
  expect(withoutGit(update.directory, 'none')).toEqual({
    ...withoutGit(join(folder, 'plain'), 'none'),
    '': withoutGit(update.directory, 'none')[''],
  });
});

test('carried out and inverted, bytes, modes and times are what they were, and what was new is kept aside', async () => {
  const update = new Update(temporaryFolder(), firstRelease, secondRelease);
  const before = withoutGit(update.directory, 'of files');
  const index = readFileSync(join(update.gitDirectory, 'index'));
  const plan = await update.prepare();
  await update.carryOut(plan);
  expect(readFileSync(join(update.directory, 'lines.crlf'), 'utf8')).toBe('one\r\nthree\r\n');
  for (let times = 0; times < 2; times += 1) {
    update.invert(plan);
    expect(withoutGit(update.directory, 'of files')).toEqual(before);
  }
  writeFileSync(join(update.gitDirectory, 'index'), index);
  git(update.directory, 'update-ref', ref, update.from);
  expect(git(update.directory, 'status', '--porcelain')).toBe('');
  expect(readFileSync(join(update.area.failed, 'changed.txt'), 'utf8')).toBe('new\n');
  expect(readFileSync(join(update.area.failed, 'added/deep/er/file.txt'), 'utf8')).toBe('new\n');
});

test('walked once more after somebody threw away what failed, the way back leaves the old files alone', async () => {
  const update = new Update(temporaryFolder(), firstRelease, secondRelease);
  const before = withoutGit(update.directory, 'of files');
  const plan = await update.prepare();
  await update.carryOut(plan);
  update.invert(plan);
  removeAll(update.area.failed);
  update.invert(plan);
  expect(withoutGit(update.directory, 'of files')).toEqual(before);
});

test('a folder whose only file changes keeps its mode, there and back', async () => {
  const update = new Update(temporaryFolder(), firstRelease, secondRelease);
  chmodSync(join(update.directory, 'only'), 0o700);
  const plan = await update.prepare();
  await update.carryOut(plan);
  expect(statSync(join(update.directory, 'only')).mode & 0o777).toBe(0o700);
  update.invert(plan);
  expect(statSync(join(update.directory, 'only')).mode & 0o777).toBe(0o700);
});

test('a detached HEAD stays one', async () => {
  const update = new Update(temporaryFolder(), firstRelease, secondRelease);
  git(update.directory, 'checkout', '--quiet', '--detach');
  const target = { from: update.from, to: update.to, ref: undefined };
  const plan = await preparePlan(localRuntime, update.directory, update.gitDirectory, update.area, target);
  expect(readPlan(update.area)).toEqual(plan);
  await update.carryOut(plan);
  expect(git(update.directory, 'rev-parse', 'HEAD')).toBe(update.to);
  expect(git(update.directory, 'rev-parse', ref)).toBe(update.from);
  expect(git(update.directory, 'status', '--porcelain')).toBe('');
});

test('a branch that somebody moved meanwhile is not moved over him', async () => {
  const update = new Update(temporaryFolder(), firstRelease, secondRelease);
  const plan = await update.prepare();
  git(update.directory, 'update-ref', ref, update.to);
  git(update.directory, 'commit', '--quiet', '--allow-empty', '--message=a hotfix by hand');
  const hotfix = git(update.directory, 'rev-parse', 'HEAD');
  await expect(update.carryOut(plan)).rejects.toThrow('update-ref');
  expect(git(update.directory, 'rev-parse', 'HEAD')).toBe(hotfix);
});

describe('what the operator has in the way is refused by name, and nothing is staged', () => {
  const nothing = (directory: string) => writeFileSync(join(directory, '.gitignore'), 'ignored*\n');
  const brings = (path: string) => (directory: string) => {
    mkdirSync(join(directory, path, '..'), { recursive: true });
    writeFileSync(join(directory, path), 'new\n');
    git(directory, 'add', '--force', path);
  };

  test.each<[string, string, (directory: string) => void, string]>([
    ['an untracked file', 'new.txt', (d) => writeFileSync(join(d, 'new.txt'), ''), 'new.txt'],
    ['an ignored file', 'ignored.env', (d) => writeFileSync(join(d, 'ignored.env'), ''), 'ignored.env'],
    ['a file where a folder comes', 'a/b/c.txt', (d) => writeFileSync(join(d, 'a'), ''), 'a'],
    ['a folder where a file comes', 'a', (d) => mkdirSync(join(d, 'a/b'), { recursive: true }), 'a'],
    ['a link where a folder comes', 'a/b.txt', (d) => symlinkSync('/tmp', join(d, 'a')), 'a'],
    ['a dangling link', 'a', (d) => symlinkSync('nowhere', join(d, 'a')), 'a'],
  ])('%s', async (_what, path, put, named) => {
    const update = new Update(temporaryFolder(), nothing, brings(path));
    put(update.directory);
    const before = withoutGit(update.directory, 'of files');
    await expect(update.prepare()).rejects.toThrow(
      `cannot update: the new version brings ${named}, where the checkout has files of its own that git does not track`,
    );
    expect(withoutGit(update.directory, 'of files')).toEqual(before);
    expect(existsSync(update.area.staged)).toBe(false);
  });

  test('a tracked folder that becomes a file, with a file of the operator in it', async () => {
    const update = new Update(temporaryFolder(), firstRelease, secondRelease);
    writeFileSync(join(update.directory, 'folder-becomes-file/notes.txt'), "the operator's");
    await expect(update.prepare()).rejects.toThrow('folder-becomes-file');
  });

  test('many are named five at a time', async () => {
    const names = ['a', 'b', 'c', 'd', 'e', 'f', 'g'];
    const update = new Update(temporaryFolder(), nothing, (d) => names.forEach((name) => brings(name)(d)));
    for (const name of names) writeFileSync(join(update.directory, name), '');
    await expect(update.prepare()).rejects.toThrow('brings a, b, c, d, e and 2 more');
  });
});
