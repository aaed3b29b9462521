import { lstatSync, readdirSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { endProcesses } from '../lib/end-processes.ts';
import { findByEnvironment } from '../lib/processes.ts';
import type { Runtime } from '../runtime/runtime.ts';
import type { Sandbox } from './sandbox.ts';

/**
 * The variable by which everything that the demo starts is known, down to the last grandchild. Its name does not begin
 * with HOLDFAST_: those are not passed on to services and builds.
 */
export const sandboxMark = 'DEMO_SANDBOX';

const politeMs = 3000;
const stopPolicy = { signal: 'SIGINT', timeoutMs: 20_000, kill: 'process' } as const;

/**
 * Ends everything that runs in the sandbox, whoever started it and however far it was, and resolves to how many
 * processes that were. Nothing in there is worth a restore, so after a moment it is SIGKILL. May be run twice.
 */
export async function endLeftovers(
  sandbox: Pick<Sandbox, 'path' | 'state'>,
  runtime: Runtime,
): Promise<number> {
  const ended = await endMarked(sandbox.path);
  // PostgreSQL gets a scrubbed environment without our mark; the runtime knows it by its own.
  const server = { name: 'postgres', stateFolder: sandbox.state.postgres };
  const found = findByEnvironment('HOLDFAST_SERVICE', `${server.stateFolder}/${server.name}`).length;
  await runtime.stopService(server, stopPolicy);
  removeSocketLinks(sandbox.path);
  return ended + found;
}

async function endMarked(mark: string): Promise<number> {
  const { ended, left } = await endProcesses(() => findByEnvironment(sandboxMark, mark), {
    ...{ signal: 'SIGTERM', graceMs: politeMs },
  });
  if (left.length > 0) throw new Error(`processes of the demo cannot be ended: ${left.join(', ')}`);
  return ended;
}

/** Where the sandbox's path is too long for a socket, PostgreSQL is reached through a link in the temporary folder. */
function removeSocketLinks(sandbox: string): void {
  for (const name of readdirSync(tmpdir())) {
    if (!name.startsWith('holdfast-')) continue;
    const path = join(tmpdir(), name);
    try {
      if (lstatSync(path).isSymbolicLink() && readlinkSync(path).startsWith(`${sandbox}/`)) rmSync(path);
    } catch {
      // Somebody else's, or gone meanwhile.
    }
  }
}
