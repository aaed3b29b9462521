import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, test, vi } from 'vitest';
import type { Runtime } from '../../orchestrator/runtime/runtime.ts';
import { containersOf, livingInside } from '../support/inside-containers.ts';
import { Ledger } from '../support/ledger.ts';
import { lxc, lxdEnvironment } from '../support/lxd-host.ts';
import { runtimeContract } from '../support/runtime-contract.ts';

/* What every runtime promises, tried in containers; tests/unit/runtime tries the same on this machine. */

const why = inject('whyNoLxd');
let ledger: Ledger;
let runtime: Runtime;

describe.skipIf(why !== '')('the contract of a runtime, in containers', () => {
  beforeAll(async () => {
    Object.assign(process.env, lxdEnvironment);
    // Its containers alone: nothing of it is installed.
    ledger = await Ledger.create({ lxd: true });
    ({ runtime } = ledger.open());
    await runtime.setUp(() => {});
    mkdirSync(join(ledger.directory, 'services'), { mode: 0o700 });
  });

  afterAll(async () => {
    await ledger?.destroy();
  });

  runtimeContract({ runtime: () => runtime, folder: () => ledger.directory });

  test('endRun ends what runs in a container that somebody froze', async () => {
    const runId = join(ledger.directory, 'a-run');
    const running = runtime
      .run({ inside: 'backend', file: 'sleep', args: ['4321'] }, { runId })
      .catch(() => 'ended');
    const isThere = async () =>
      expect(await livingInside(ledger)).toContainEqual(expect.stringMatching(/sleep 4321$/));
    await vi.waitFor(isThere, { timeout: 8000 });
    await lxc('pause', containersOf(ledger).backend);

    await runtime.endRun(runId);

    expect(await running).toBe('ended');
    expect(await livingInside(ledger)).toEqual([]);
  });
});
