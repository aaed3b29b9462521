import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Runtime } from '../runtime/runtime.ts';
import { readHead } from '../tools/git-facts.ts';
import { readTree } from '../tools/git.ts';
import { applyEdits, type Release } from './releases/edit.ts';
import type { Sandbox } from './sandbox.ts';
import * as git from './vendor-git.ts';

/**
 * Makes the vendor's repository out of what git tracks at the home checkout's HEAD, and an empty upstream beside it.
 *
 * @throws Refusal if the home folder is no git checkout
 */
export async function foundVendor(runtime: Runtime, home: string, sandbox: Sandbox): Promise<void> {
  await readHead(runtime, home);
  for (const folder of [sandbox.vendor, sandbox.upstream]) mkdirSync(folder);
  const index = join(sandbox.path, 'home-index');
  await runtime.run(readTree(home, 'HEAD', index));
  await runtime.run(git.exportIndex(home, index, sandbox.vendor));
  rmSync(index);
  await runtime.run(git.initBare(sandbox.upstream));
  await runtime.run(git.init(sandbox.vendor));
  await runtime.run(git.addRemote(sandbox.vendor, sandbox.upstream));
}

/** Publishes a release: a commit and a tag on the upstream, as a vendor would. Throws Refusal if its edits do not fit. */
export async function publish(runtime: Runtime, { vendor }: Sandbox, release: Release): Promise<void> {
  applyEdits(vendor, release.edits);
  await runtime.run(git.addAll(vendor));
  await runtime.run(git.commitAll(vendor, release.summary));
  await runtime.run(git.tag(vendor, release.tag));
  await runtime.run(git.push(vendor, release.tag));
}

/** The operator's part: the appliance is a clone of the upstream. */
export async function cloneAppliance(runtime: Runtime, sandbox: Sandbox): Promise<void> {
  await runtime.run(git.clone(sandbox.upstream, sandbox.appliance));
}
