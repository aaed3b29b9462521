import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, inject } from 'vitest';
import type { Runtime } from '../../orchestrator/runtime/runtime.ts';
import { Ledger } from '../support/ledger.ts';
import { lxdEnvironment } from '../support/lxd-host.ts';
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
});
