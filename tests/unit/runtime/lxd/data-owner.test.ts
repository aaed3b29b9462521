import { chmodSync, chownSync, lstatSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { giveToServices } from '../../../../orchestrator/runtime/lxd/data-owner.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

const uid = 4711;

test.skipIf(process.getuid?.() !== 0)(
  'what root made for the services is theirs; what is somebody else’s stays so, and nothing loses its mode',
  () => {
    const root = join(temporaryFolder(), 'data');
    mkdirSync(join(root, 'inner'), { recursive: true });
    const at = (name: string) => join(root, name);
    for (const name of ['plain', 'inner/tool', 'of-another']) writeFileSync(at(name), '');
    writeFileSync(Buffer.concat([Buffer.from(`${root}/`), Buffer.from([0xe9])]), '');
    symlinkSync('/etc/passwd', at('link'));
    chownSync(at('of-another'), 12345, 54321);
    chmodSync(at('inner/tool'), 0o6755);
    const passwd = lstatSync('/etc/passwd').uid;

    giveToServices([root, join(root, 'missing')], uid);

    const owners = ['', 'inner', 'inner/tool', 'plain', 'link'].map((name) => lstatSync(at(name)).uid);
    expect(owners).toEqual([uid, uid, uid, uid, uid]);
    expect(lstatSync(at('inner/tool')).mode & 0o7777).toBe(0o6755);
    expect([lstatSync(at('of-another')).uid, lstatSync(at('of-another')).gid]).toEqual([12345, 54321]);
    expect(lstatSync('/etc/passwd').uid).toBe(passwd);
  },
);

test.skipIf(process.getuid?.() !== 0)('a folder that is somebody’s already is not gone through', () => {
  const root = temporaryFolder();
  writeFileSync(join(root, 'file'), '');
  chownSync(root, 12345, 12345);
  giveToServices([root], uid);
  expect(lstatSync(join(root, 'file')).uid).toBe(0);
});
