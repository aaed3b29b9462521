import { appendFileSync, mkdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { beforeEach, describe, expect, test } from 'vitest';
import type { Manifest } from '../../../orchestrator/snapshot/manifest.ts';
import { listSnapshots, readManifest, verifySnapshot } from '../../../orchestrator/snapshot/store.ts';
import { seal as sealIn } from '../../support/sealed-snapshot.ts';
import { manifestWith } from '../support/a-manifest.ts';
import { folderInMemory } from '../support/temporary-folder.ts';

const parts = {
  'files.tar.zst': 'a'.repeat(1000),
  'inventory.ndjson': 'b'.repeat(300),
  'registry.json': '[]\n',
};

const seal = (folderOfAll: string, id: string, more: Partial<Manifest> = {}) =>
  sealIn(folderOfAll, id, more, parts);

let backups: string;
let folder: string;
beforeEach(() => {
  backups = folderInMemory();
  folder = seal(backups, 's1');
});

describe('verifying', () => {
  test('a whole snapshot is one', async () => {
    expect((await verifySnapshot(folder)).id).toBe('s1');
  });

  test('a flipped bit is found, wherever it is', async () => {
    const sizes = Object.entries(parts);
    await fc.assert(
      fc.asyncProperty(fc.nat(sizes.length - 1), fc.nat(9999), fc.nat(7), async (which, position, bit) => {
        const [name, text] = sizes[which] ?? ['', ''];
        const bytes = Buffer.from(text);
        const at = position % bytes.length;
        bytes.writeUInt8(bytes.readUInt8(at) ^ (1 << bit), at);
        writeFileSync(join(folder, name), bytes);
        await expect(verifySnapshot(folder)).rejects.toThrow(`${name} was changed`);
        writeFileSync(join(folder, name), text);
      }),
      { numRuns: 60 },
    );
    await verifySnapshot(folder);
  });

  test('a part that was cut, that grew or that is missing is found; all are named at once', async () => {
    truncateSync(join(folder, 'files.tar.zst'), 999);
    appendFileSync(join(folder, 'inventory.ndjson'), '\n');
    rmSync(join(folder, 'registry.json'));
    await expect(verifySnapshot(folder)).rejects.toThrow(
      'cannot use the snapshot s1: files.tar.zst has 999 bytes instead of 1000; inventory.ndjson has 301 bytes instead of 300; registry.json is missing',
    );
  });

  test('a changed manifest is found, though it still reads well', async () => {
    const path = join(folder, 'manifest.json');
    writeFileSync(path, readFileSync(path, 'utf8').replace('"commit":"c1"', '"commit":"c2"'));
    await expect(verifySnapshot(folder)).rejects.toThrow(
      'manifest.json or manifest.sha256 is not what was sealed',
    );
  });

  test("what does not belong to it is found, and a manifest that is another one's", async () => {
    writeFileSync(join(folder, 'NOTES\n.txt'), '');
    await expect(verifySnapshot(folder)).rejects.toThrow(
      '"NOTES\\n.txt" does not belong to it'.replaceAll('"', ''),
    );
    expect((await verifySnapshot(folder, { strays: 'ignore' })).id).toBe('s1');
    await expect(verifySnapshot(folder, { id: 's2' })).rejects.toThrow('manifest.json is that of s1');
  });

  test('a manifest without its checksum was never sealed', async () => {
    rmSync(join(folder, 'manifest.sha256'));
    await expect(verifySnapshot(folder)).rejects.toThrow('manifest.sha256 is missing');
  });
});

describe('a manifest', () => {
  const write = (value: unknown) =>
    writeFileSync(join(folder, 'manifest.json'), typeof value === 'string' ? value : JSON.stringify(value));

  test('of a newer format is refused by its number, whatever else it says', () => {
    write({ format: 2, everything: 'else' });
    expect(() => readManifest(folder)).toThrow(
      `cannot use the snapshot ${folder}: its format is 2, and this version reads formats up to 1`,
    );
  });

  test.each<[string, unknown, string]>([
    ['that is cut', '{"format":1,', 'its manifest is not JSON'],
    ['that is empty', '', 'its manifest is not JSON'],
    ['that is something else', 'null', 'its manifest is damaged at ""'],
    ['without a commit', { ...manifestWith(), commit: undefined }, 'its manifest is damaged at "commit"'],
    ['of an unknown kind', { ...manifestWith(), kind: 'weekly' }, 'its manifest is damaged at "kind"'],
    ['with a key that nobody knows', { ...manifestWith(), more: 1 }, 'its manifest is damaged at ""'],
    [
      'with a part whose name leads out',
      { ...manifestWith(), parts: [{ name: '../x', sizeBytes: 1, sha256: 'a'.repeat(64) }] },
      'its manifest is damaged at "parts.0.name"',
    ],
  ])('%s is refused', (_what, value, why) => {
    write(value);
    expect(() => readManifest(folder)).toThrow(`cannot use the snapshot ${folder}: ${why}`);
  });

  test('that is missing is told', () => {
    rmSync(join(folder, 'manifest.json'));
    expect(() => readManifest(folder)).toThrow('it has no manifest.json');
  });

  test('is read as it was written', () => {
    const manifest = manifestWith({
      registry: { path: 'r.json', present: false },
      name: 'fair',
      kind: 'manual',
    });
    write(manifest);
    expect(readManifest(folder)).toEqual(manifest);
  });
});

describe('the list', () => {
  test('is newest first by number, not by the clock or the name', () => {
    seal(backups, 's2', { sequence: 3, createdAt: '2001-01-01T00:00:00.000Z' });
    seal(backups, 's0', { sequence: 12 });
    expect(listSnapshots(backups).map(({ id }) => id)).toEqual(['s0', 's2', 's1']);
  });

  test('shows a broken one with why, and never one that is being made', () => {
    seal(backups, 's9.unsealed', { sequence: 9 });
    mkdirSync(join(backups, '.git'));
    mkdirSync(join(backups, 'broken'));
    writeFileSync(join(backups, 'a file'), '');
    const listed = listSnapshots(backups).map(({ id, problem, sizeBytes }) => ({ id, problem, sizeBytes }));
    expect(listed).toEqual([
      { id: 's1', problem: undefined, sizeBytes: 1303 },
      { id: 'broken', problem: expect.stringContaining('it has no manifest.json'), sizeBytes: 0 },
    ]);
  });

  test('of a folder that is not there is empty', () => {
    expect(listSnapshots(join(backups, 'none'))).toEqual([]);
  });
});
