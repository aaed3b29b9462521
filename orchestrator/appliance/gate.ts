import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { ServiceConfig } from '../config/schema.ts';
import { removeDurably, writeFileAtomic } from '../lib/atomic-file.ts';
import { programFile, type Appliance } from './appliance.ts';

/*
 * The gate: between its start and the commit a new version must not take a request from outside, or a
 * restore would lose what it acknowledged. A file says that the gate is closed; the service's process looks for it
 * (gate-preload.cjs, in any Node service, or the service itself). Its removal is the opening: one durable act that
 * recovery can do as well as we.
 */

export interface Gate {
  /** See `Runtime.gate`. */
  readonly by: 'preload' | 'address';
  readonly file: string;
  /** Requests that carry it are ours and pass. It lives in memory and in the service's environment only. */
  readonly token: string;
}

const folderOf = (appliance: Appliance) => join(appliance.state.path, 'gate');

/** Closes the gate for the services that are started from now on. */
export function closeGate(appliance: Appliance, runId: string): Gate {
  const folder = folderOf(appliance);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const file = join(folder, runId);
  writeFileAtomic(file, 'closed\n');
  return { by: appliance.runtime.gate, file, token: randomBytes(24).toString('base64url') };
}

/** Lets everybody in. May be run twice. */
export function openGate(appliance: Appliance): void {
  const folder = folderOf(appliance);
  if (!existsSync(folder)) return;
  for (const name of readdirSync(folder)) removeDurably(join(folder, name));
}

/**
 * What a gated service finds in its environment.
 *
 * @param nodeOptions those that it has anyway
 */
export function gateEnvironment(
  appliance: Appliance,
  service: ServiceConfig,
  gate: Gate | undefined,
  nodeOptions: string | undefined,
): Record<string, string> {
  if (!gate || gate.by === 'address' || service.gate === 'none') return {};
  const base = { HOLDFAST_GATE: '1', HOLDFAST_GATE_FILE: gate.file, HOLDFAST_GATE_TOKEN: gate.token };
  if (service.gate === 'flag') return base;
  const preload = programFile(appliance.program, 'gate-preload.cjs')
    .replaceAll('\\', '\\\\')
    .replaceAll('"', '\\"');
  return { ...base, NODE_OPTIONS: `${nodeOptions ?? ''} --require "${preload}"`.trim() };
}
