import { execaSync } from 'execa';
import fc from 'fast-check';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { zstdCompressSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Appliance } from '../../orchestrator/appliance/appliance.ts';
import { Refusal } from '../../orchestrator/lib/errors.ts';
import { ensureBackupsFolder } from '../../orchestrator/snapshot/draft.ts';
import { importSnapshot } from '../../orchestrator/snapshot/import.ts';
import { verifySnapshot } from '../../orchestrator/snapshot/store.ts';
import { tally } from '../support/fault-tally.ts';
import { entriesOf, tarOf, writeArchive } from '../support/hostile-archive.ts';
import { hostile, id, whole } from '../support/hostile-cases.ts';
import { needs } from '../support/needs.ts';
import { sealedFiles } from '../support/sealed-snapshot.ts';
import { captureTree } from '../support/tree-state.ts';
import { differences } from '../support/state.ts';
import { applianceIn } from '../unit/support/an-appliance.ts';
import { folderForAll, removeAll } from '../unit/support/temporary-folder.ts';

/*
 * Archives that nobody should trust, given to `backup import`. Each is refused in words, and the whole neighbourhood of
 * the snapshots is afterwards what it was: nothing written beside, nothing left behind.
 */

let neighbourhood: string;
let appliance: Appliance;
let archive: string;

beforeAll(() => {
  neighbourhood = folderForAll();
  appliance = applianceIn(neighbourhood);
  ensureBackupsFolder(appliance.backupsDirectory);
  execaSync('git', ['init', '--quiet', appliance.directory]);
  writeFileSync(join(neighbourhood, 'outside'), 'untouched');
  archive = join(neighbourhood, 'archive.tar.zst');
  writeFileSync(archive, '');
});

afterAll(() => removeAll(neighbourhood));

/** Imports, and tells why it was refused, and what is otherwise than before. */
async function attempt(options = { otherAppliance: false }): Promise<{ error: string; changed: string[] }> {
  const was = await captureTree(neighbourhood, ['archive.tar.zst']);
  let error = 'none';
  try {
    await importSnapshot(appliance, archive, options);
  } catch (thrown) {
    if (!(thrown instanceof Refusal)) throw thrown;
    error = thrown.message;
  }
  const is = await captureTree(neighbourhood, ['archive.tar.zst']);
  // Folders' times tell that something was made and taken away again in them: the staging folder, and only there.
  const changed = differences(was, is).filter((line) => !line.startsWith('directory box/backups: modified'));
  return { error, changed };
}

/** What an attempt must come to. */
function refused(why: RegExp) {
  return { error: expect.stringMatching(why) as string, changed: [] };
}

describe('refused, with nothing written outside and nothing left', () => {
  test.for(hostile)('%s', async ([, entries, why], context) => {
    writeArchive(archive, entries());
    expect(await attempt()).toEqual(refused(why));
    tally(context, 'unchanged');
  });

  test('what is no archive', async (context) => {
    for (const bytes of [
      '',
      'not an archive',
      zstdCompressSync(Buffer.from('no tar')),
      zstdCompressSync(Buffer.alloc(1024)),
    ]) {
      writeFileSync(archive, bytes);
      expect(await attempt()).toEqual(refused(/not compressed|cut short|does not begin/));
      tally(context, 'unchanged');
    }
  });

  test('zeros without end after the archive: a bomb that no header announces', async (context) => {
    writeFileSync(archive, zstdCompressSync(Buffer.concat([tarOf(whole()), Buffer.alloc(64 * 1024 * 1024)])));
    expect(await attempt()).toEqual(refused(/something follows after its end/));
    tally(context, 'unchanged');
  });

  test('a second archive after the first', async (context) => {
    writeFileSync(archive, zstdCompressSync(Buffer.concat([tarOf(whole()), tarOf(whole())])));
    expect(await attempt()).toEqual(refused(/something follows after its end/));
    tally(context, 'unchanged');
  });

  test('an archive cut anywhere, compressed or not', async (context) => {
    const plain = tarOf(whole());
    const packed = zstdCompressSync(plain);
    await fc.assert(
      fc.asyncProperty(fc.nat(plain.length - 513), fc.nat(packed.length - 1), async (cutPlain, cutPacked) => {
        for (const bytes of [zstdCompressSync(plain.subarray(0, cutPlain)), packed.subarray(0, cutPacked)]) {
          writeFileSync(archive, bytes);
          expect(await attempt()).toEqual(refused(/cut short|not compressed|lacks|does not/));
          tally(context, 'unchanged');
        }
      }),
      { numRuns: 25 },
    );
  });

  test('a byte flipped anywhere in it', async (context) => {
    const plain = tarOf(whole());
    const used = plain.length - 1024;
    await fc.assert(
      fc.asyncProperty(fc.nat(used - 1), fc.integer({ min: 1, max: 255 }), async (position, bits) => {
        const bytes = Buffer.from(plain);
        bytes.writeUInt8(bytes.readUInt8(position) ^ bits, position);
        writeFileSync(archive, zstdCompressSync(bytes));
        const { error, changed } = await attempt();
        // What fills a block up says nothing, and may be anything: then it came in, and is whole.
        if (error === 'none') {
          await verifySnapshot(join(appliance.backupsDirectory, id));
          rmSync(join(appliance.backupsDirectory, id), { recursive: true });
        }
        expect(error === 'none' ? [] : changed).toEqual([]);
        tally(context, 'unchanged');
      }),
      { numRuns: 60 },
    );
  });

  test('a folder, a FIFO, a file that is not there', async () => {
    execaSync('mkfifo', [join(neighbourhood, 'pipe')]);
    for (const [name, why] of [
      ['box', 'it is not a plain file'],
      ['pipe', 'it is not a plain file'],
      ['none', 'there is no such file'],
    ] as const)
      await expect(
        importSnapshot(appliance, join(neighbourhood, name), { otherAppliance: false }),
      ).rejects.toThrow(why);
    rmSync(join(neighbourhood, 'pipe'));
  });
});

describe('a whole archive', () => {
  test('comes in, 0600 and 0700 whatever the umask, and is what was sealed', async () => {
    writeArchive(archive, whole());
    const umask = process.umask(0);
    const { folder, wasHere } = await importSnapshot(appliance, archive, { otherAppliance: false });
    process.umask(umask);
    expect(wasHere).toBe(false);
    expect(statSync(folder).mode & 0o777).toBe(0o700);
    for (const name of readdirSync(folder)) expect(statSync(join(folder, name)).mode & 0o777).toBe(0o600);
    expect((await verifySnapshot(folder)).id).toBe(id);
    expect(readFileSync(join(folder, 'registry.json'), 'utf8')).toBe('[]\n');
  });

  test('that is here already is told, and nothing is written', async (context) => {
    expect(await attempt()).toEqual({ error: 'none', changed: [] });
    tally(context, 'unchanged');
  });

  test('of the same id but with something else in it is refused', async (context) => {
    writeArchive(archive, entriesOf(sealedFiles(id, { label: 'another' })));
    expect(await attempt()).toEqual(
      refused(/there is another snapshot 20261120-021403 already, and none is ever overwritten/),
    );
    tally(context, 'unchanged');
  });

  test('of another appliance comes in when that is meant', async () => {
    const other = sealedFiles('20261120-021404', {
      configuration: { ...appliance.config, name: 'elsewhere' },
    });
    writeArchive(archive, entriesOf(other));
    const { folder } = await importSnapshot(appliance, archive, { otherAppliance: true });
    expect(existsSync(join(folder, 'imported.json'))).toBe(true);
  });
});

test('a disk that is too small for the parts is told before anything is written', async (context) => {
  needs(context, 'mount');
  const folder = folderForAll();
  const small = applianceIn(folder);
  mkdirSync(small.backupsDirectory);
  execaSync('mount', ['-t', 'tmpfs', '-o', 'size=129m,mode=0700', 'small', small.backupsDirectory]);
  try {
    const parts = { 'database.dump': Buffer.alloc(3 * 1024 * 1024) };
    writeArchive(join(folder, 'archive'), entriesOf(sealedFiles(id, {}, parts)));
    await expect(importSnapshot(small, join(folder, 'archive'), { otherAppliance: false })).rejects.toThrow(
      /its parts take 3\.1 MB, and .* can be used at/,
    );
    expect(readdirSync(small.backupsDirectory)).toEqual(['.git']);
    tally(context, 'unchanged');
  } finally {
    execaSync('umount', [small.backupsDirectory]);
    removeAll(folder);
  }
});
