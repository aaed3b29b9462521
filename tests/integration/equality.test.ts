import {
  chmodSync,
  chownSync,
  lchownSync,
  lutimesSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  rmdirSync,
  symlinkSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execaSync } from 'execa';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { writeData } from '../support/odd-files.ts';
import { needs } from '../support/needs.ts';
import { differences, mismatches, noMismatch, type State } from '../support/state.ts';
import { captureTree } from '../support/tree-state.ts';

/*
 * All other tests ask one question: is everything exactly as before? Here it is asked of trees that are not, so that
 * the answer "yes" is worth something; of databases in equality-database.test.ts.
 */

describe('a tree is not as before', () => {
  let folder: string;
  let before: State;
  const at = (path: string) => join(folder, path);

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'hold fast-equality-'));
    mkdirSync(at('data'));
    writeData(folder);
    utimesSync(at('data/holes.img'), 1_600_000_000, 1_600_000_000);
    execaSync('mkfifo', ['--mode=600', at('data/queue')]);
    utimesSync(at('data'), 1_600_000_000, 1_600_000_000);
    before = await captureTree(folder);
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  test('unless nothing was done to it', async () => {
    readFileSync(at('data/key.pem'));

    expect(differences(before, await captureTree(folder))).toEqual([]);
  });

  /** Changes in a folder whose own time does not move: only what is meant is seen. */
  const keepingTimes = (change: () => void) => () => {
    change();
    utimesSync(at('data/uploads'), 1_600_000_000.123456, 1_600_000_000.123456);
  };
  const photo = 'data/uploads/photo.bin';

  test.each<[string, () => void, string[]]>([
    [
      'other bytes of the same size and time',
      () => {
        writeFileSync(at('data/key.pem'), 'SECRET KEY\n');
        utimesSync(at('data/key.pem'), 1_600_000_000.123456, 1_600_000_000.123456);
      },
      ['file data/key.pem: bytes was'],
    ],
    ['a mode', () => chmodSync(at('data/key.pem'), 0o640), ['file data/key.pem: mode was 600, is 640']],
    ['a setuid bit', () => chmodSync(at('data/tool'), 0o755), ['file data/tool: mode was 4755, is 755']],
    [
      'a setgid bit of a folder',
      () => chmodSync(at('data/empty'), 0o770),
      ['directory data/empty: mode was 2770'],
    ],
    [
      'a time, by a nanosecond',
      () => execaSync('touch', ['-d', '@1600000000.123456002', at('data/key.pem')]),
      ['file data/key.pem: modified was'],
    ],
    [
      'the time of a folder',
      () => utimesSync(at('data/empty'), 1, 1),
      ['directory data/empty: modified was'],
    ],
    [
      'the time of a symlink',
      () => lutimesSync(at('data/dangling'), 1, 1),
      ['symlink data/dangling: modified was'],
    ],
    [
      'the target of a symlink',
      keepingTimes(() => {
        unlinkSync(at('data/uploads/latest'));
        symlinkSync('same-photo.bin', at('data/uploads/latest'));
      }),
      [
        'symlink data/uploads/latest: modified',
        'symlink data/uploads/latest: target was photo.bin, is same-photo.bin',
      ],
    ],
    [
      'a hard link that became a copy',
      keepingTimes(() => {
        execaSync('cp', ['--preserve=all', at(photo), at('data/uploads/copy')]);
        renameSync(at('data/uploads/copy'), at('data/uploads/same-photo.bin'));
      }),
      [`file ${photo}: links was 2`, 'file data/uploads/same-photo.bin: links was 2'],
    ],
    [
      'something that was added',
      keepingTimes(() => writeFileSync(at('data/uploads/new'), '')),
      ['file data/uploads/new was added'],
    ],
    [
      'a file that is gone',
      keepingTimes(() => unlinkSync(at(photo))),
      [`file ${photo} is gone`, 'file data/uploads/same-photo.bin: links'],
    ],
    [
      'an empty folder that is gone',
      () => rmdirSync(at('data/empty')),
      ['directory data: modified', 'directory data/empty is gone'],
    ],
    [
      'another type',
      keepingTimes(() => {
        unlinkSync(at('data/uploads/latest'));
        mkdirSync(at('data/uploads/latest'));
      }),
      ['symlink data/uploads/latest is gone', 'directory data/uploads/latest was added'],
    ],
    [
      'holes that were filled',
      () => {
        writeFileSync(at('data/holes.img'), Buffer.alloc(4 << 20));
        // Until it is on disk, the file system has not decided what it takes.
        execaSync('sync', [at('data/holes.img')]);
      },
      ['file data/holes.img: modified', 'file data/holes.img: data was none, is 0-4194304'],
    ],
    [
      'a hole in another place, with the same bytes, size and time',
      () => {
        execaSync('dd', [
          `of=${at('data/holes.img')}`,
          'if=/dev/zero',
          'bs=1M',
          'count=1',
          'seek=2',
          'conv=notrunc',
        ]);
        utimesSync(at('data/holes.img'), 1_600_000_000, 1_600_000_000);
      },
      ['file data/holes.img: data was none, is 2097152-3145728'],
    ],
    [
      'a pipe instead of a file',
      keepingTimes(() => {
        unlinkSync(at('data/uploads/latest'));
        execaSync('mkfifo', [at('data/uploads/latest')]);
      }),
      ['symlink data/uploads/latest is gone', 'pipe data/uploads/latest was added'],
    ],
    [
      'the mode of a pipe',
      () => chmodSync(at('data/queue'), 0o640),
      ['pipe data/queue: mode was 600, is 640'],
    ],
    [
      'a link to something else of the same length, with the same time',
      () => {
        unlinkSync(at('data/dangling'));
        symlinkSync('/nowhere/at ALL', at('data/dangling'));
        lutimesSync(at('data/dangling'), 1_500_000_001, 1_500_000_002);
        utimesSync(at('data'), 1_600_000_000, 1_600_000_000);
      },
      ['symlink data/dangling: target was /nowhere/at all, is /nowhere/at ALL'],
    ],
  ])('when it has %s', async (_, change, expected) => {
    change();

    expect(mismatches(differences(before, await captureTree(folder)), expected)).toEqual(noMismatch);
  });

  test('when it has another owner, of a file or a symlink', async (context) => {
    needs(context, 'root');
    chownSync(at('data/tool'), 4242, 4343);
    chmodSync(at('data/tool'), 0o4755);
    lchownSync(at('data/dangling'), 4242, 4343);

    expect(
      mismatches(differences(before, await captureTree(folder)), [
        'symlink data/dangling: owner was 0:0, is 4242:4343',
        'file data/tool: owner was 0:0, is 4242:4343',
      ]),
    ).toEqual(noMismatch);
  });

  test('when it has other extended attributes', async (context) => {
    needs(context, 'attr');
    execaSync('setfattr', ['-n', 'user.origin', '-v', 'scanner', at(photo)]);

    expect(
      mismatches(differences(before, await captureTree(folder)), [
        `file ${photo}: attributes was`,
        'file data/uploads/same-photo.bin: attributes was',
      ]),
    ).toEqual(noMismatch);
  });

  test('when a folder or a symlink has other extended attributes', async (context) => {
    needs(context, 'attr', 'root');
    execaSync('setfattr', ['-n', 'user.label', '-v', 'x', at('data/empty')]);
    execaSync('setfattr', ['-h', '-n', 'trusted.label', '-v', 'x', at('data/dangling')]);

    expect(differences(before, await captureTree(folder))).toEqual([
      'symlink data/dangling: attributes was unset, is trusted.label=0x78',
      'directory data/empty: attributes was unset, is user.label=0x78',
    ]);
  });

  test('when a program has other capabilities', async (context) => {
    needs(context, 'capabilities');
    execaSync('setcap', ['cap_net_bind_service+ep', at('data/tool')]);

    expect(
      mismatches(differences(before, await captureTree(folder)), [
        'file data/tool: attributes was unset, is security.capability=0x',
      ]),
    ).toEqual(noMismatch);
  });

  test('when a device is another one', async (context) => {
    needs(context, 'device');
    const make = async (minor: string) => {
      execaSync('mknod', ['--mode=600', at('data/null'), 'c', '1', minor]);
      for (const path of ['data/null', 'data']) utimesSync(at(path), 1_600_000_000, 1_600_000_000);
      return await captureTree(folder);
    };
    const was = await make('3');
    unlinkSync(at('data/null'));

    expect(differences(was, await make('5'))).toEqual(['device data/null: number was c 259, is c 261']);
  });

  test('when another folder of the same content is asked for, unless it is called by another name', async () => {
    const called = await captureTree(at('data/uploads'), [], 'uploads: ');

    expect([...called.keys()]).toContain('file uploads: photo.bin');
    expect(differences(await captureTree(at('data/uploads')), called)).not.toEqual([]);
  });

  test('when it has another ACL, even one that gives the same mode', async (context) => {
    needs(context, 'acl');
    execaSync('setfacl', ['-m', 'u:12346:r', at('data/uploads/2024/ein Übertrag – März.txt')]);

    expect(
      mismatches(differences(before, await captureTree(folder)), [
        'file data/uploads/2024/ein Übertrag – März.txt: attributes was',
      ]),
    ).toEqual(noMismatch);
  });
});
