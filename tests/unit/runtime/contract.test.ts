import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe } from 'vitest';
import { localRuntime } from '../../../orchestrator/runtime/local.ts';
import { runtimeContract } from '../../support/runtime-contract.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

let folder: string;
beforeEach(() => {
  folder = temporaryFolder();
  mkdirSync(join(folder, 'services'), { mode: 0o700 });
});

describe('the contract of a runtime, on this machine', () => {
  runtimeContract({ runtime: () => localRuntime, folder: () => folder });
});
