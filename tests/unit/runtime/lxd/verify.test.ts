import { beforeEach, describe, expect, test } from 'vitest';
import { Refusal } from '../../../../orchestrator/lib/errors.ts';
import type { Instance } from '../../../../orchestrator/runtime/lxd/client.ts';
import { verifyRoom, verifyRunning } from '../../../../orchestrator/runtime/lxd/verify.ts';
import { refusalOf } from '../../support/refusal.ts';
import { FakeDaemon } from '../../support/a-daemon.ts';

let daemon: FakeDaemon;
beforeEach(() => {
  daemon = new FakeDaemon();
});

const instance = (status: string): Instance => ({
  ...{ name: 'shop-backend', status, description: '', config: {}, devices: {} },
});

describe('a container that is to be worked in', () => {
  test('runs', () => {
    expect(() => verifyRunning('shop-backend', instance('Running'))).not.toThrow();
  });

  test.each([
    [undefined, 'is not there', './run.sh setup'],
    [instance('Stopped'), 'is stopped', './run.sh start'],
    [instance('Frozen'), 'is frozen', './run.sh start thaws it'],
    [instance('Error'), 'is error', './run.sh start'],
  ])('%j is refused with the way out', async (there, what, next) => {
    const refusal = await refusalOf(() => verifyRunning('shop-backend', there));
    expect(refusal.message).toContain(`the container shop-backend ${what}`);
    expect(refusal.next).toContain(next);
  });
});

describe('the room in the pool', () => {
  const MiB = 1024 * 1024;
  const withSpace = (space: object | undefined) =>
    daemon.things.set('storage-pools/fast/resources', space === undefined ? {} : { space });

  test.each([
    ['much of it is left', { total: 1000 * MiB, used: 100 * MiB }, 900 * MiB],
    ['just enough is left', { total: 1000 * MiB, used: 488 * MiB }, 512 * MiB],
    ['the pool tells nothing of its size', undefined, undefined],
    ['it does not know its size', { total: 0, used: 5 * MiB }, undefined],
  ])('%s: nobody is kept', async (_what, space, left) => {
    withSpace(space);
    await expect(verifyRoom(daemon.client, 'fast')).resolves.toBe(left);
  });

  test('a byte too little is refused, with both figures and the command', async () => {
    withSpace({ total: 1000 * MiB, used: 488 * MiB + 1 });
    const refusal = await refusalOf(async () => await verifyRoom(daemon.client, 'fast'));
    expect(refusal).toBeInstanceOf(Refusal);
    expect(refusal.message).toMatch(/the storage pool fast has 5\d\d MB left, and 5\d\d MB are needed/);
    expect(refusal.next).toContain('lxc storage info fast');
  });
});
