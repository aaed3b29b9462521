import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { StateDirectory } from '../appliance/state.ts';
import { removeDurably, writeFileAtomic } from '../lib/atomic-file.ts';
import type { StepName } from './journal-entries.ts';

/** Setup has no journal, since it has nothing to restore; but whoever comes next is told how far it came. */
export interface SetupProgress {
  readonly step: StepName;
  readonly title: string;
  /** Why it failed; absent while it is at work, or if it was killed. */
  readonly failure?: string;
}

const pathIn = (state: StateDirectory) => join(state.path, 'setup.json');

export function noteSetup(state: StateDirectory, progress: SetupProgress): void {
  writeFileAtomic(pathIn(state), `${JSON.stringify(progress)}\n`);
}

/** The checkout is set up: nothing is left to tell. May be run twice. */
export function forgetSetup(state: StateDirectory): void {
  if (existsSync(pathIn(state))) removeDurably(pathIn(state));
}

/** How far the setup came that did not come to its end; undefined where none was begun. */
export function readSetup(state: StateDirectory): SetupProgress | undefined {
  try {
    return JSON.parse(readFileSync(pathIn(state), 'utf8')) as SetupProgress;
  } catch {
    return undefined;
  }
}
