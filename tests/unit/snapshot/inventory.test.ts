import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  linkSync,
  mkdirSync,
  renameSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { rawFromBytes, rawFromText } from '../../../orchestrator/lib/raw-path.ts';
import {
  decodeEntry,
  describeDifference,
  encodeEntry,
  formatDifference,
  isUntouched,
  look,
  scan,
  withChecksums,
  type Entry,
} from '../../../orchestrator/snapshot/inventory.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const all = (path: string) => ({ path, exclude: [], patterns: [] });
const pathsOf = (entries: readonly Entry[]): string[] => entries.map(({ path }) => path);

function entryAt(root: string, path: string): Entry {
  const entry = look(root, rawFromText(path));
  if (!entry) throw new Error(`there is no ${path}`);
  return entry;
}

describe('a scan', () => {
  test('lists every kind of entry with what a restore must bring back', () => {
    const root = temporaryFolder();
    mkdirSync(join(root, 'empty'));
    writeFileSync(join(root, 'file'), 'four');
    chmodSync(join(root, 'file'), 0o4711);
    utimesSync(join(root, 'file'), 1, 1_700_000_000.25);
    symlinkSync('no/where', join(root, 'link'));
    execFileSync('mkfifo', [join(root, 'pipe')]);
    const facts = scan(all(root)).map(({ path, type, size, target }) => ({ path, type, size, target }));
    expect(facts).toEqual([
      { path: '', type: 'directory', size: 0, target: undefined },
      { path: 'empty', type: 'directory', size: 0, target: undefined },
      { path: 'file', type: 'file', size: 4, target: undefined },
      { path: 'link', type: 'symlink', size: 0, target: 'no/where' },
      { path: 'pipe', type: 'special', size: 0, target: undefined },
    ]);
    expect(entryAt(root, 'file')).toMatchObject({
      mode: 0o4711,
      uid: process.getuid?.(),
      gid: statSync(join(root, 'file')).gid,
      mtimeNs: 1_700_000_000_250_000_000n,
    });
  });

  test('keeps names as bytes: new lines, quotation marks, and what is no UTF-8', () => {
    const root = temporaryFolder();
    const names = [
      Buffer.from('two\nlines'),
      Buffer.from('"quoted"'),
      Buffer.from([0x66, 0xff, 0xfe]),
      Buffer.from('été'),
    ];
    for (const name of names) writeFileSync(Buffer.concat([Buffer.from(`${root}/`), name]), 'x');
    const found = scan(all(root)).slice(1);
    expect(new Set(pathsOf(found))).toEqual(new Set(names.map(rawFromBytes)));
    expect(found.every(({ size }) => size === 1)).toBe(true);
  });

  test('lists a folder before what lies in it, and that before what follows the folder', () => {
    const root = temporaryFolder();
    mkdirSync(join(root, 'a'));
    for (const name of ['a/z', 'a.txt', 'a-b', 'b']) writeFileSync(join(root, name), '');
    expect(pathsOf(scan(all(root)))).toEqual(['', 'a', 'a/z', 'a-b', 'a.txt', 'b']);
  });

  test('leaves out what is excluded, with everything under it, and nothing that is only called alike', () => {
    const root = temporaryFolder();
    for (const folder of ['cache', 'cache-2', 'data/cache', 'été'])
      mkdirSync(join(root, folder), { recursive: true });
    for (const name of ['cache/x', 'cache-2/x', 'data/cache/x', 'data/a.log', 'data/b.txt', 'a.log', 'été/x'])
      writeFileSync(join(root, name), '');
    const tree = { path: root, exclude: ['cache', 'été'], patterns: ['data/*.log', 'data/cache/**'] };
    expect(pathsOf(scan(tree))).toEqual([
      '',
      'a.log',
      'cache-2',
      'cache-2/x',
      'data',
      'data/b.txt',
      'data/cache',
    ]);
  });

  test('counts the names of a file in the tree, not those elsewhere', () => {
    const folder = temporaryFolder();
    const root = join(folder, 'root');
    mkdirSync(root);
    writeFileSync(join(root, 'one'), 'x');
    linkSync(join(root, 'one'), join(root, 'two'));
    linkSync(join(root, 'one'), join(folder, 'a backup by hard links'));
    writeFileSync(join(root, 'alone'), 'x');
    linkSync(join(root, 'alone'), join(folder, 'another'));
    expect(scan(all(root)).map(({ path, links }) => [path, links])).toEqual([
      ['', 1],
      ['alone', 1],
      ['one', 2],
      ['two', 2],
    ]);
  });

  test('of nothing, of a file and of a link is empty', () => {
    const root = temporaryFolder();
    writeFileSync(join(root, 'file'), '');
    symlinkSync('.', join(root, 'link'));
    for (const path of ['nothing', 'file', 'file/below', 'link'])
      expect(scan(all(join(root, path)))).toEqual([]);
  });
});

test('checksums are those of the bytes, and only files have one', async () => {
  const root = temporaryFolder();
  writeFileSync(join(root, 'a'), 'abc');
  linkSync(join(root, 'a'), join(root, 'b'));
  writeFileSync(join(root, 'c'), Buffer.alloc(3 << 20, 7));
  symlinkSync('a', join(root, 'd'));
  const sum = (bytes: string | Buffer) => createHash('sha256').update(bytes).digest('hex');
  expect((await withChecksums(root, scan(all(root)))).map(({ sha256 }) => sha256)).toEqual([
    undefined,
    sum('abc'),
    sum('abc'),
    sum(Buffer.alloc(3 << 20, 7)),
    undefined,
  ]);
});

test('an entry survives its line in the inventory, whatever it holds', () => {
  const bytes = fc.uint8Array({ min: 1, max: 255, minLength: 1, maxLength: 30 }).map(rawFromBytes);
  const big = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
  const entry = fc.record(
    {
      path: bytes,
      type: fc.constantFrom('file' as const, 'directory' as const, 'symlink' as const),
      mode: fc.integer({ min: 0, max: 0o7777 }),
      uid: fc.nat(),
      gid: fc.nat(),
      size: fc.maxSafeNat(),
      mtimeNs: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n }),
      ctimeNs: big,
      device: big,
      inode: big,
      links: fc.integer({ min: 1, max: 65_000 }),
      target: bytes,
      sha256: fc.stringMatching(/^[0-9a-f]{64}$/),
    },
    {
      requiredKeys: [
        'path',
        'type',
        'mode',
        'uid',
        'gid',
        'size',
        'mtimeNs',
        'ctimeNs',
        'device',
        'inode',
        'links',
      ],
    },
  );
  fc.assert(
    fc.property(entry, (one) => {
      const line = encodeEntry(one);
      expect(line).not.toContain('\n');
      expect(decodeEntry(line)).toEqual(one);
    }),
    { numRuns: 500 },
  );
});

describe('an entry is untouched', () => {
  function changed(change: (path: string, root: string) => void): boolean {
    const root = temporaryFolder();
    writeFileSync(join(root, 'file'), 'four');
    const before = entryAt(root, 'file');
    change(join(root, 'file'), root);
    return !isUntouched(before, entryAt(root, 'file'));
  }

  test('when nobody changed it, though it was read', () => {
    expect(changed((path) => void statSync(path))).toBe(false);
  });

  test.each<[string, (path: string, root: string) => void]>([
    [
      'other bytes of the same number, the old time put back',
      (path) => {
        const { atime, mtime } = statSync(path);
        writeFileSync(path, 'FOUR');
        utimesSync(path, atime, mtime);
      },
    ],
    ['its mode', (path) => chmodSync(path, 0o600)],
    ['its time', (path) => utimesSync(path, 1, 1)],
    ['its size', (path) => appendFileSync(path, '!')],
    [
      'a copy in its place',
      (path, root) => {
        writeFileSync(join(root, 'copy'), 'four');
        renameSync(join(root, 'copy'), path);
      },
    ],
  ])('not when somebody changed %s', (_what, change) => {
    expect(changed(change)).toBe(true);
  });
});

describe('a difference is described', () => {
  const base: Entry = {
    ...{ path: rawFromText('x'), type: 'file', mode: 0o644, uid: 1, gid: 1, size: 4, links: 1 },
    ...{ mtimeNs: 1n, ctimeNs: 1n, device: 1n, inode: 1n },
  };
  const link: Entry = { ...base, type: 'symlink', target: 'a' };

  test.each<[string | undefined, Entry, Partial<Entry>]>([
    ['was a file, is a directory', base, { type: 'directory' }],
    ['points elsewhere', link, { target: 'b' }],
    ['mode 644 became 4755', base, { mode: 0o4755 }],
    ['owner 1:1 became 2:1', base, { uid: 2 }],
    ['owner 1:1 became 1:2', base, { gid: 2 }],
    ['4 bytes became 5', base, { size: 5 }],
    ['modification time differs', base, { mtimeNs: 2n }],
    ['1 hard links became 2', base, { links: 2 }],
    [undefined, base, { ctimeNs: 9n, inode: 9n, device: 9n }],
    [undefined, link, { mode: 0o700 }],
  ])('%s', (text, before, now) => {
    expect(describeDifference(before, { ...before, ...now })).toBe(text);
  });

  test('on one line, with the path, and "." for the root', () => {
    expect(formatDifference(rawFromText('a\nb'), 'is missing')).toBe('a\\nb: is missing');
    expect(formatDifference(rawFromText(''), 'was added')).toBe('.: was added');
  });
});
