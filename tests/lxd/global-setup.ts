import type { TestProject } from 'vitest/node';
import { removeLxd, startLxd, whyNoLxd } from '../support/lxd-host.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** Why LXD cannot run here; empty if it does. */
    whyNoLxd: string;
  }
}

export async function setup(project: TestProject): Promise<void> {
  const why = (await whyNoLxd()) ?? '';
  project.provide('whyNoLxd', why);
  if (why === '') await startLxd();
}

export async function teardown(): Promise<void> {
  if (process.env['HOLDFAST_TEST_KEEP_LXD'] !== '1') await removeLxd();
}
