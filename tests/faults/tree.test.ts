import {
  chmodSync,
  chownSync,
  existsSync,
  linkSync,
  mkdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { execaSync } from 'execa';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { tally } from '../support/fault-tally.ts';
import { Ledger } from '../support/ledger.ts';
import { can, needs } from '../support/needs.ts';
import { differences } from '../support/state.ts';

/*
 * What lies in an appliance's tree beyond plain files, through an update that fails in its window after it has laid hands
 * on all of it. One installation serves all cases: each leaves it as it found it.
 */

let ledger: Ledger;
const at = (path: string) => join(ledger.directory, path);
const run = (file: string, ...args: string[]) => execaSync(file, args);

beforeAll(async () => {
  ledger = await Ledger.install();
  // The folder of the snapshots appears with the first one.
  await ledger.succeed('backup', 'create', '--name', 'first');
  await ledger.sandbox.publish((folder) => writeFileSync(join(folder, 'docs/news.txt'), 'news\n'));
});

afterAll(async () => {
  await ledger?.destroy();
});

/** An update whose code is in place when `does` happens, and that then fails. */
const failingAfter = async (does: () => unknown) =>
  await ledger.failing({ step: 'pull-code', operation: /^git .* update-ref/, when: 'after', does }, 'update');

const restored = { exitCode: 10, result: { outcome: 'restored' } };

describe('a failed update leaves as it was', () => {
  test('what has long names, lies deep, or bears a time before 1970 or far ahead', async (context) => {
    const deep = join('data', ...Array.from({ length: 12 }, (_, level) => `${level}`.padEnd(255, 'd')));
    mkdirSync(at(deep), { recursive: true });
    const [longest, old, ahead] = [`${deep}/${'n'.repeat(255)}`, 'data/from 1960', 'data/from 2200'];
    for (const path of [longest, old, ahead]) writeFileSync(at(path), 'before\n');
    run('touch', '-d', '1960-01-01 00:00:00.123456789', at(old));
    run('touch', '-d', '2200-01-01 00:00:00.987654321', at(ahead));
    const was = await ledger.capture();

    const outcome = await failingAfter(() => {
      for (const path of [longest, old, ahead]) writeFileSync(at(path), 'of the update\n');
      writeFileSync(at(`${deep}/${'m'.repeat(255)}`), 'added by the update\n');
    });

    expect(outcome).toMatchObject(restored);
    expect(differences(was, await ledger.capture())).toEqual([]);
    tally(context, 'restored');
  });

  test('folders and links with their extended attributes, the checkout itself among them', async (context) => {
    needs(context, 'attr', 'root');
    const set = (path: string, name: string, value: string) =>
      run('setfattr', '-h', '-n', name, '-v', value, at(path));
    for (const path of ['', 'data', 'data/empty', 'docs']) set(path, 'user.kept', 'before');
    set('data/uploads', 'user.changed', 'before');
    set('data/dangling', 'trusted.kept', 'before');
    const was = await ledger.capture();

    const outcome = await failingAfter(() => {
      for (const path of ['', 'data', 'data/uploads', 'data/empty', 'docs', 'data/uploads/2024'])
        set(path, 'user.added by it', 'x');
      for (const path of ['data', 'docs']) run('setfattr', '-x', 'user.kept', at(path));
      set('data/uploads', 'user.changed', 'by the update');
      set('data/dangling', 'trusted.added', 'x');
    });

    expect(outcome).toMatchObject(restored);
    expect(differences(was, await ledger.capture())).toEqual([]);
    tally(context, 'restored');
  });

  test('capabilities, setuid bits, owners, links and holes', async (context) => {
    needs(context, 'capabilities');
    run('cp', '/bin/true', at('data/server'));
    run('setcap', 'cap_net_bind_service+ep', at('data/server'));
    run('dd', 'if=/dev/zero', `of=${at('data/islands.img')}`, 'bs=64k', 'count=1', 'seek=16');
    run('dd', 'if=/dev/zero', `of=${at('data/islands.img')}`, 'bs=64k', 'count=1', 'seek=40', 'conv=notrunc');
    run('truncate', '-s', '8M', at('data/islands.img'));
    chownSync(at('data/tool'), 12_345, 54_321);
    chmodSync(at('data/tool'), 0o6755);
    const was = await ledger.capture();

    const outcome = await failingAfter(() => {
      run('setcap', '-r', at('data/server'));
      chownSync(at('data/tool'), 0, 0);
      run('cp', '--sparse=never', at('data/islands.img'), at('data/full'));
      renameSync(at('data/full'), at('data/islands.img'));
      unlinkSync(at('data/uploads/same-photo.bin'));
      linkSync(at('data/tool'), at('data/uploads/same-photo.bin'));
      rmSync(at('data/uploads/2024'), { recursive: true });
      symlinkSync('/etc', at('data/uploads/2024'));
    });

    expect(outcome).toMatchObject(restored);
    expect(differences(was, await ledger.capture())).toEqual([]);
    tally(context, 'restored');
  });

  test('pipes, sockets and devices, which no snapshot holds: it says so, and lets them be', async (context) => {
    run('mkfifo', at('data/queue'));
    const server = createServer().listen(at('data/app.sock'));
    if (can('device')) run('mknod', at('data/null'), 'c', '1', '3');
    const was = await ledger.capture();
    try {
      const outcome = await failingAfter(() => {
        writeFileSync(at('data/key.pem'), 'of the update\n');
        run('mkfifo', at('data/a pipe of the update'));
      });

      expect(outcome).toMatchObject({
        ...restored,
        result: { warnings: [expect.stringMatching(/not backed up: . pipes or sockets .*data\/app\.sock/)] },
      });
      expect(differences(was, await ledger.capture())).toEqual([]);
      tally(context, 'restored');
    } finally {
      server.close();
    }
  });

  test('all but a pipe that the update took away, and names that', async (context) => {
    const was = await ledger.capture();

    const outcome = await failingAfter(() => {
      rmSync(at('data/queue'));
      writeFileSync(at('data/queue'), 'a file now\n');
    });

    expect(outcome.result).toMatchObject({
      outcome: 'restored',
      compared: expect.stringContaining('but for 1 pipe or socket that no snapshot holds (data/queue)'),
    });
    expect(existsSync(at('data/queue'))).toBe(false);
    expect(differences(was, await ledger.capture())).toEqual(['pipe data/queue is gone']);
    tally(context, 'restored');
  });
});
