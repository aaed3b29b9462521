import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { StateDirectory } from '../appliance/state.ts';
import { LockHeldError, messageOf, Refusal } from '../lib/errors.ts';
import { removeTree } from '../lib/remove-tree.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { endLeftovers } from './leftovers.ts';

/** The places of the sandbox. Nothing of the demo lies elsewhere. */
export interface Sandbox {
  readonly path: string;
  /** Where the demo's vendor prepares releases. */
  readonly vendor: string;
  /** The bare repository that the vendor publishes to and the appliance updates from. */
  readonly upstream: string;
  /** The appliance's checkout. */
  readonly appliance: string;
  readonly backups: string;
  readonly state: StateDirectory;
}

function placeSandbox(home: string): Sandbox {
  const path = join(home, '.holdfast', 'demo');
  const appliance = join(path, 'appliance');
  return {
    path,
    vendor: join(path, 'vendor'),
    upstream: join(path, 'upstream.git'),
    appliance,
    backups: join(appliance, 'backups'),
    state: new StateDirectory(join(appliance, '.holdfast')),
  };
}

/**
 * Makes the sandbox anew for the time of `work`. What an earlier demo that was killed left running is ended first, and
 * whatever `work` left running afterwards, however it ended. The folder stays, for looking around, until the next one.
 *
 * @throws LockHeldError if another demo is at work here; Refusal if the old sandbox cannot be removed
 */
export async function withSandbox<T>(
  home: string,
  runtime: Runtime,
  work: (sandbox: Sandbox) => Promise<T>,
): Promise<T> {
  const sandbox = placeSandbox(home);
  mkdirSync(join(home, '.holdfast'), { recursive: true, mode: 0o700 });
  // Beside the sandbox: inside, the lock would go with the folder while somebody holds it.
  const lock = await runtime.tryLock(`${sandbox.path}.lock`);
  if (!lock)
    throw new LockHeldError('cannot start the demo: another one is at work here', 'wait until it ends');
  try {
    await endLeftovers(sandbox, runtime);
    renew(sandbox);
    try {
      return await work(sandbox);
    } finally {
      await endLeftovers(sandbox, runtime);
    }
  } finally {
    await lock.release();
  }
}

function renew({ path }: Sandbox): void {
  try {
    removeTree(path);
    mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    throw new Refusal(
      `cannot make the demo's sandbox anew: ${messageOf(error)}`,
      `remove ${path} as the user who ran the last demo`,
      error,
    );
  }
}
