import { chmodSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import type { Thing } from '../../support/a-daemon.ts';
import { Ensured } from '../../support/ensured.ts';
import { refusalOf } from '../../support/refusal.ts';

let ensured: Ensured;
beforeEach(() => {
  ensured = new Ensured();
});

/** As LXD 5.0.2 says it on kernels from 6.9. */
const cannotShift = [
  'Error: Failed to start device "holdfast-mount-0": Required idmapping abilities not available',
  "Error: idmapping abilities are required but aren't supported on system",
] as const;
const withoutShift = (why: string = cannotShift[0]) => {
  ensured.daemon.refuses = ({ method, path, body }) =>
    method === 'PUT' &&
    path === 'instances/shop-backend/state' &&
    (body as Thing)['action'] === 'start' &&
    JSON.stringify(ensured.there().devices).includes('"shift"')
      ? why
      : undefined;
};

describe('where LXD cannot shift owners', () => {
  const line = (source: string) =>
    `lxc.mount.entry = ${source} ${source.slice(1)} none rbind,create=dir,idmap=container 0 0`;
  const field = (path: string) => path.replaceAll(' ', String.raw`\040`);

  test.each(cannotShift)('LXC does it, and what is open to everybody stays a device (%s)', async (why) => {
    withoutShift(why);
    await ensured.container();
    expect(ensured.there().status).toBe('Running');
    expect(ensured.there().config['raw.lxc']).toBe(line(field(ensured.box)));
    expect(Object.keys(ensured.there().devices)).toEqual(['root', 'eth0', 'holdfast-mount-0']);
    expect(ensured.there().devices['holdfast-mount-0']).toMatchObject({ path: '/var/tmp/holdfast-1' });
    expect(ensured.said).toEqual([
      'making the container shop-backend',
      'starting the container shop-backend',
      'LXD cannot shift the owners of folders on this machine: LXC does it for shop-backend',
      'changing the container shop-backend: 2 mounts, holdfast-mount-0, holdfast-mount-1',
      'starting the container shop-backend',
    ]);
  });

  test('the second time nothing is tried, and nothing is changed', async () => {
    withoutShift();
    await ensured.made();
    await ensured.container();
    expect([ensured.daemon.changes, ensured.said]).toEqual([[], []]);
  });

  test('a blank in a path ends no field', async () => {
    withoutShift();
    await ensured.container('backend', [{ source: ensured.box, target: '/srv/a b\\c' }]);
    expect(ensured.there().config['raw.lxc']).toBe(
      `lxc.mount.entry = ${field(ensured.box)} srv/a\\040b\\134c none rbind,create=dir,idmap=container 0 0`,
    );
    expect(ensured.box).toContain(' ');
  });

  test("an operator's own lines for LXC stay: without ours they say nothing of how folders are mounted", async () => {
    await ensured.made();
    ensured.alter(({ config }) => ({
      config: { ...config, 'raw.lxc': 'lxc.apparmor.profile = unconfined\n' },
    }));
    await ensured.container();
    expect([ensured.daemon.changes, ensured.said]).toEqual([[], []]);

    withoutShift();
    ensured.alter(() => ({ status: 'Stopped' }));
    await ensured.container();
    expect(ensured.there().config['raw.lxc']).toBe(
      `lxc.apparmor.profile = unconfined\n${line(field(ensured.box))}`,
    );
    ensured.forget();
    await ensured.container();
    expect(ensured.daemon.changes).toEqual([]);
  });

  test('another failure is that failure', async () => {
    ensured.daemon.refuses = ({ path }) =>
      path.endsWith('/state') ? 'Error: Failed to run: forkstart: exit status 1' : undefined;
    await expect(ensured.container()).rejects.toThrow('forkstart');
    expect(ensured.there().config).not.toHaveProperty('raw.lxc');
  });

  test('a folder above that is closed to others is refused by name, before anything is mounted so', async () => {
    withoutShift();
    chmodSync(join(ensured.box, '..'), 0o750);
    const refusal = await refusalOf(async () => await ensured.container());
    expect(refusal.message).toBe(
      `cannot mount ${ensured.box} in a container: ${join(ensured.box, '..')} is closed to others`,
    );
    expect(refusal.next).toContain(`chmod o+x '${join(ensured.box, '..')}'`);
    expect(ensured.there().config).not.toHaveProperty('raw.lxc');
    // The folder itself may be closed: nobody has to walk through it.
    chmodSync(join(ensured.box, '..'), 0o711);
    chmodSync(ensured.box, 0o700);
    await ensured.container();
    expect(ensured.there().status).toBe('Running');
  });

  test('a folder above is no matter where LXD shifts', async () => {
    chmodSync(join(ensured.box, '..'), 0o700);
    await ensured.container();
    expect(ensured.there().status).toBe('Running');
  });
});
