import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { Database } from '../../../orchestrator/database/engine.ts';
import { releaseInPlaces, releaseReserves, takeReserves } from '../../../orchestrator/snapshot/reserve.ts';
import { localRuntime } from '../../../orchestrator/runtime/local.ts';
import type { Runtime } from '../../../orchestrator/runtime/runtime.ts';
import { applianceIn } from '../support/an-appliance.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const failing = (message: string): Runtime => ({
  ...localRuntime,
  run: async () => await Promise.reject(new Error(message)),
});

function prepare(runtime: Runtime = localRuntime) {
  const appliance = { ...applianceIn(temporaryFolder()), runtime };
  const folder = join(appliance.state.run('r'), 'reserve');
  const warnings: string[] = [];
  const take = async () =>
    await takeReserves(appliance, [{ what: 'files', folder, bytes: 1 << 20, inodes: 3 }], (message) =>
      warnings.push(message),
    );
  return { appliance, folder, warnings, take };
}

test('room is taken, and given back however often that is asked', async () => {
  const { appliance, folder, warnings, take } = prepare();
  await take();
  expect(statSync(join(folder, 'bytes')).blocks * 512).toBeGreaterThanOrEqual(1 << 20);
  expect(existsSync(join(folder, '2'))).toBe(true);
  releaseReserves(appliance, 'r');
  releaseReserves(appliance, 'r');
  expect(existsSync(folder)).toBe(false);
  expect(warnings).toEqual([]);
});

test('where there is none it is refused, with what to do', async () => {
  const { take } = prepare(failing('fallocate failed: No space left on device'));
  await expect(take()).rejects.toMatchObject({ exitCode: 3, next: expect.stringContaining('make room') });
});

test('a file system that cannot set room aside keeps nobody from updating, and is told', async () => {
  const { take, warnings } = prepare(failing('fallocate failed: Operation not supported'));
  await take();
  expect(warnings).toEqual([expect.stringContaining('no room is set aside for files')]);
});

describe('where places have disks of their own', () => {
  const taken: number[] = [];
  const inPlaces = (work: (bytes: number) => Promise<void>): Runtime => ({
    ...localRuntime,
    reserve: { bytes: 100, take: work, release: async () => await Promise.reject(new Error('away')) },
  });
  const takeBeside = async (runtime: Runtime, copies?: { areUsable: () => Promise<boolean> }) =>
    await takeReserves(
      {
        runtime,
        database: { copies, sizeBytes: async () => await Promise.resolve(7) } as unknown as Database,
      },
      [],
      () => {},
    );

  test.each([
    ['comes back as a copy', { areUsable: async () => await Promise.resolve(true) }, 0],
    ['is filled a second time', { areUsable: async () => await Promise.resolve(false) }, 7],
    ['is somewhere else', undefined, 0],
  ])('a database that %s', async (_what, copies, bytes) => {
    const runtime = inPlaces(async (more) => await Promise.resolve(void taken.splice(0, 1, more)));
    expect(await takeBeside(runtime, copies)).toBe(100 + bytes);
    expect(taken).toEqual([bytes]);
  });

  test('one that is full is refused, with its words', async () => {
    const runtime = inPlaces(
      async () => await Promise.reject(new Error('fallocate in shop-backend failed: Disk quota exceeded')),
    );
    await expect(takeBeside(runtime)).rejects.toMatchObject({
      message: expect.stringContaining('fallocate in shop-backend failed: Disk quota exceeded'),
      next: expect.stringContaining('make room in that container'),
    });
  });

  test('one that does not answer keeps no recovery from its work', async () => {
    await expect(releaseInPlaces({ runtime: inPlaces(async () => {}) })).resolves.toBeUndefined();
  });
});
