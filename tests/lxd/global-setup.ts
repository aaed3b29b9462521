import type { TestProject } from 'vitest/node';
import { isKept, removeLxd, whyNoLxd } from '../support/lxd-host.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** Why LXD cannot run here; empty if it does. */
    whyNoLxd: string;
  }
}

let isOurs = false;

export async function setup(project: TestProject): Promise<void> {
  const why = (await whyNoLxd()) ?? '';
  isOurs = why === '';
  project.provide('whyNoLxd', why);
}

export async function teardown(): Promise<void> {
  if (isOurs && !isKept) await removeLxd();
}
