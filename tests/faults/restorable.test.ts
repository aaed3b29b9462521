import { chmodSync, chownSync, linkSync, mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { execaSync } from 'execa';
import { beforeEach, describe, expect, test } from 'vitest';
import type { Appliance } from '../../orchestrator/appliance/appliance.ts';
import { backupFiles } from '../../orchestrator/snapshot/files.ts';
import { verifyRestorable } from '../../orchestrator/snapshot/restorable.ts';
import { FaultPlan } from '../support/faults.ts';
import { needs } from '../support/needs.ts';
import { applianceIn } from '../unit/support/an-appliance.ts';
import { temporaryFolder } from '../unit/support/temporary-folder.ts';

/* What could not be brought back is refused while everything still runs. */

/** An appliance beside a folder of data. */
function box(data: readonly string[] = []): { appliance: Appliance; at: (path: string) => string } {
  const appliance = applianceIn(temporaryFolder(), { data: data.map((path) => ({ path })) });
  return { appliance, at: (path) => join(appliance.directory, path) };
}

const refused = async (appliance: Appliance): Promise<unknown> => {
  try {
    await verifyRestorable(appliance);
    return 'not refused';
  } catch (error) {
    return error;
  }
};

test('data that are one file outside the checkout: only folders are backed up', async () => {
  const { appliance, at } = box(['../settings.ini']);
  writeFileSync(at('../settings.ini'), 'x');

  expect(await refused(appliance)).toMatchObject({
    exitCode: 3,
    message: expect.stringContaining('settings.ini is not a folder'),
    next: expect.stringContaining('name the folder that it lies in'),
  });
});

test('data that are one file in the checkout, or are not there, are no reason', async () => {
  const { appliance, at } = box(['settings.ini', '../not there']);
  writeFileSync(at('settings.ini'), 'x');

  expect(await refused(appliance)).toBe('not refused');
});

test.each([
  ['too deep to be moved aside', 16],
  ['deeper than the kernel takes a path', 17],
])('a path that is %s', async (_, levels) => {
  const { appliance } = box();
  // One step after the other: the whole path is too long for a single call.
  const script = `for i in $(seq ${levels}); do n=$(printf '%0252d' "$i"); mkdir "$n" && cd -P "$n" || exit 1; done`;
  execaSync('bash', ['-c', script], { cwd: appliance.directory });
  try {
    expect(await refused(appliance)).toMatchObject({
      exitCode: 3,
      message: expect.stringMatching(/too long to be moved aside/),
    });
  } finally {
    execaSync('find', [appliance.directory, '-delete']);
  }
});

test('a file with names in two trees is told: a restore of one makes a copy', async () => {
  const { appliance, at } = box(['../uploads']);
  mkdirSync(at('../uploads'));
  mkdirSync(at('../snapshot'));
  writeFileSync(at('photo'), 'x');
  linkSync(at('photo'), at('../uploads/photo'));
  linkSync(at('photo'), at('same tree'));

  const { linkedAcross } = await backupFiles(appliance, appliance.config, at('../snapshot'));

  expect(linkedAcross).toEqual([expect.stringMatching(/box\/(photo|same tree) and .*uploads\/photo/)]);
});

describe('an ordinary user is refused', () => {
  const nobody = 65_534;
  /** Looks at the tree as somebody who is not root and owns it. */
  const asNobody = async (
    prepare: (at: (path: string) => string) => void,
    meanwhile?: (at: (path: string) => string) => void,
  ) => {
    const { appliance: plain, at } = box();
    const faults = new FaultPlan();
    if (meanwhile)
      faults.plan({ operation: /^tar --create/, when: 'before', does: () => meanwhile(at), fails: false });
    const appliance = { ...plain, runtime: faults.wrap(plain.runtime) };
    mkdirSync(at('data'));
    writeFileSync(at('data/x'), 'x');
    execaSync('chown', ['-R', `${nobody}:${nobody}`, join(appliance.directory, '..')]);
    prepare(at);
    const groups = process.getgroups?.() ?? [];
    process.setgroups?.([nobody]);
    process.setegid?.(nobody);
    process.seteuid?.(nobody);
    try {
      return await refused(appliance);
    } finally {
      process.seteuid?.(0);
      process.setegid?.(0);
      process.setgroups?.(groups);
    }
  };

  beforeEach((context) => needs(context, 'capabilities'));

  test('nothing, where all is his', async () => {
    expect(await asNobody(() => {})).toBe('not refused');
  });

  test('nothing, where a file of his is rotated away while it is looked at', async () => {
    const rotate = (at: (path: string) => string) => renameSync(at('data/x'), at('data/x.1'));
    expect(await asNobody(() => {}, rotate)).toBe('not refused');
  });

  test.each<[string, (at: (path: string) => string) => void, RegExp]>([
    ["somebody else's file", (at) => chownSync(at('data/x'), 4242, nobody), /data\/x belongs to 4242:65534/],
    ["somebody else's group", (at) => chownSync(at('data/x'), nobody, 4343), /data\/x belongs to 65534:4343/],
    ['a folder closed to him', (at) => chmodSync(at('data'), 0o000), /folder .*data is closed to this user/],
    ['a file closed to him', (at) => chmodSync(at('data/x'), 0o000), /data\/x is closed to this user/],
    [
      'a program with capabilities',
      (at) => execaSync('setcap', ['cap_net_bind_service+ep', at('data/x')]),
      /data\/x has capabilities/,
    ],
  ])('%s', async (_, prepare, says) => {
    expect(await asNobody(prepare)).toMatchObject({
      exitCode: 3,
      message: expect.stringMatching(says),
      next: expect.stringMatching(/exclude/),
    });
  });
});
