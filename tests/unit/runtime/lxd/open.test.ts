import { chownSync, cpSync, mkdirSync, realpathSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, test, vi } from 'vitest';
import { place } from '../../../../orchestrator/config/load.ts';
import { openLxdRuntime } from '../../../../orchestrator/runtime/lxd/open.ts';
import { FakeDaemon, shippedDefinitions } from '../../support/a-daemon.ts';
import { configOf } from '../../support/an-appliance.ts';
import { refusalOf } from '../../support/refusal.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

let folder: string;
let box: string;
beforeEach(() => {
  folder = realpathSync(temporaryFolder());
  box = join(folder, 'box');
  mkdirSync(box);
});

/** What the backend's container sees of this machine, each as where => what, after a setup. */
async function mountsOf(
  config: Record<string, unknown>,
  { home = box, runner = join(home, '.holdfast/runner/abc') } = {},
): Promise<Record<string, string>> {
  cpSync(shippedDefinitions, join(runner, 'lxd'), { recursive: true });
  const daemon = new FakeDaemon();
  daemon.prints = ({ args }) => {
    const at = args.indexOf('--alias');
    if (at !== -1) daemon.things.set(`images/aliases/${args[at + 1] ?? ''}`, { target: 'f00' });
    // Whatever it is asked inside a container, it answers.
    return args.includes('exec') ? 'holdfast: that was all\n' : '';
  };
  const loaded = place(configOf({ runtime: 'lxd', ...config }), join(box, 'appliance.yaml'), box);
  const program = { version: 'test', home, runner, node: process.execPath };
  await openLxdRuntime(loaded, daemon.machine, program).setUp(() => {});
  const { devices } = daemon.things.get('instances/shop-backend') as {
    devices: Record<string, { path: string; source: string }>;
  };
  const mounts = Object.entries(devices).filter(([name]) => name.startsWith('holdfast-mount-'));
  return Object.fromEntries(mounts.map(([, { path, source }]) => [path, source]));
}

describe('code in a container finds', () => {
  test('the checkout where it lies, with all that is in it, and nothing else of the machine', async () => {
    mkdirSync(join(box, 'uploads'));
    expect(await mountsOf({ data: [{ path: 'uploads' }, { path: 'not/there/yet' }] })).toEqual({
      [box]: box,
    });
  });

  test('a state directory that lies elsewhere', async () => {
    const state = join(folder, 'state');
    mkdirSync(state);
    const runner = join(state, 'runner');
    expect(await mountsOf({ stateDirectory: '../state' }, { runner })).toEqual({
      [box]: box,
      [state]: state,
    });
  });

  test('a Holdfast that has a checkout of its own, whichever of its versions runs: its state is closed to others', async () => {
    const home = join(folder, 'holdfast');
    expect(await mountsOf({}, { home })).toEqual({
      [box]: box,
      [join(home, '.holdfast')]: join(home, '.holdfast'),
    });
  });

  test('data beside the checkout, in whatever way it is named', async () => {
    const [one, two] = [join(folder, 'one'), join(folder, 'two')];
    for (const each of [one, two]) mkdirSync(each);
    expect(await mountsOf({ data: [{ path: '../one' }, { path: two }] })).toEqual({
      ...{ [box]: box, [one]: one, [two]: two },
    });
  });

  test('data that a link leads to, by the link', async () => {
    const disk = join(folder, 'disk');
    mkdirSync(disk);
    symlinkSync(disk, join(box, 'uploads'));
    symlinkSync(disk, join(folder, 'other'));
    expect(await mountsOf({ data: [{ path: 'uploads' }] })).toEqual({ [box]: box, [disk]: disk });
    expect(await mountsOf({ data: [{ path: '../other' }] })).toMatchObject({ [join(folder, 'other')]: disk });
  });

  test('the folder of a database of SQLite', async () => {
    const folderOfFile = join(folder, 'db');
    mkdirSync(folderOfFile);
    writeFileSync(join(folderOfFile, 'app.db'), '');
    expect(await mountsOf({ database: { file: join(folderOfFile, 'app.db') } })).toEqual({
      ...{ [box]: box, [folderOfFile]: folderOfFile },
    });
    expect(await mountsOf({ database: { file: 'app.db' } })).toEqual({ [box]: box });
  });
});

test("root does not set up in another user's state: they could not work with it any more", async () => {
  const state = join(box, '.holdfast');
  mkdirSync(state);
  const isRoot = process.getuid?.() === 0;
  if (isRoot) chownSync(state, 1234, 1234);
  const owner = statSync(state).uid;
  vi.spyOn(process, 'getuid').mockReturnValue(0);
  const refused = await refusalOf(async () => await mountsOf({}));
  vi.restoreAllMocks();
  expect(refused.message).toBe(
    `cannot set up as root: ${state} belongs to the user ${owner}, who could not work with it any more`,
  );
  expect(refused.next).toContain(`sudo -u '#${owner}' ./run.sh setup`);
});
