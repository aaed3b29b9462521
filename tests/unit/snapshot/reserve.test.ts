import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { releaseReserves, takeReserves } from '../../../orchestrator/snapshot/reserve.ts';
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
