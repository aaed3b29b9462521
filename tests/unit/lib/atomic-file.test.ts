import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { removeDurably, renameDurably, writeFileAtomic } from '../../../orchestrator/lib/atomic-file.ts';
import { cutShort } from '../support/cut-short.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const umaskBefore = process.umask();
afterEach(() => void process.umask(umaskBefore));

describe('writeFileAtomic', () => {
  test('what it wrote is there, and nothing beside it', () => {
    const folder = temporaryFolder();
    writeFileAtomic(join(folder, 'state'), 'one');
    writeFileAtomic(join(folder, 'state'), Buffer.from([0, 255, 10]));
    expect([...readFileSync(join(folder, 'state'))]).toEqual([0, 255, 10]);
    expect(readdirSync(folder)).toEqual(['state']);
  });

  test('killed at any instant, the file has its old bytes or its new ones', async () => {
    const folder = temporaryFolder();
    const path = join(folder, 'state');
    const seen = new Set<string>();
    for (let count = 0; ; count += 1) {
      writeFileSync(path, 'old');
      const wasCut = await cutShort(count, () => writeFileAtomic(path, 'the new ones'));
      seen.add(readFileSync(path, 'utf8'));
      expect(['old', 'the new ones']).toContain(readFileSync(path, 'utf8'));
      if (!wasCut) break;
    }
    expect([...seen]).toEqual(['old', 'the new ones']);
  });

  test.each([0o000, 0o022, 0o077, 0o177])('its mode is the one asked for under umask %o', (umask) => {
    const folder = temporaryFolder();
    process.umask(umask);
    writeFileAtomic(join(folder, 'private'), 'x');
    writeFileAtomic(join(folder, 'public'), 'x', 0o644);
    writeFileAtomic(join(folder, 'program'), 'x', 0o755);
    const modes = ['private', 'public', 'program'].map((name) => statSync(join(folder, name)).mode & 0o7777);
    expect(modes).toEqual([0o600, 0o644, 0o755]);
  });

  test('what an earlier, killed process of the same number left beside it does not matter', () => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, `state.new-${process.pid}`), 'a longer half-made text', { mode: 0o666 });
    writeFileAtomic(join(folder, 'state'), 'new');
    expect(readFileSync(join(folder, 'state'), 'utf8')).toBe('new');
    expect(statSync(join(folder, 'state')).mode & 0o777).toBe(0o600);
  });

  test('a folder that is not there is told, and nothing is left behind', () => {
    const folder = temporaryFolder();
    expect(() => writeFileAtomic(join(folder, 'no/state'), 'x')).toThrow(/ENOENT/);
    mkdirSync(join(folder, 'taken'));
    expect(() => writeFileAtomic(join(folder, 'taken'), 'x')).toThrow(/EISDIR|ENOTEMPTY|EEXIST/);
  });
});

test('renameDurably moves between folders, and removeDurably may be run twice', () => {
  const folder = temporaryFolder();
  mkdirSync(join(folder, 'a'));
  mkdirSync(join(folder, 'b'));
  writeFileSync(join(folder, 'a/x'), 'x');
  renameDurably(join(folder, 'a/x'), join(folder, 'b/y'));
  expect(readdirSync(join(folder, 'b'))).toEqual(['y']);
  removeDurably(join(folder, 'b/y'));
  removeDurably(join(folder, 'b/y'));
  expect([...readdirSync(join(folder, 'a')), ...readdirSync(join(folder, 'b'))]).toEqual([]);
});
