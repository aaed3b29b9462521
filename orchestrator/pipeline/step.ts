import type { Appliance } from '../appliance/appliance.ts';
import type { Gate } from '../appliance/gate.ts';
import type { Config } from '../config/schema.ts';
import type { SnapshotDraft } from '../snapshot/draft.ts';
import type { VerifiedManifest } from '../snapshot/manifest.ts';
import type { Journal } from './journal.ts';
import type { RunKind, StepName } from './journal-entries.ts';
import type { AskedUpdate } from './update-command.ts';

/** A step of a run. There is no undo: there is one recovery, the snapshot, so that one path is exercised and tested. */
export interface Step {
  /** Stable: it stands in journals. */
  readonly name: StepName;
  /** What the operator reads. */
  readonly title: string;
  readonly prepareTitle?: string;
  /** In the place of `title` where it depends on the appliance: not every one has Prisma, or a frontend. */
  titleFor?(config: Config): string;
  /** The slow half, while the appliance serves. Touches only what belongs to the run. */
  prepare?(context: StepContext): Promise<void>;
  /** The quick half, inside the downtime window. Absent: the step is all preparation. */
  apply?(context: StepContext): Promise<void>;
  /** For a step after the commit: the command that goes on where it failed. */
  next?(context: StepContext): Promise<string>;
  /** Why there is nothing to do, or false. */
  skip?(context: StepContext): Promise<string | false>;
}

/** What the operator reads of a half of a step. */
export function titleOf(step: Step, half: 'prepare' | 'apply', config: Config): string {
  if (half === 'prepare' && step.prepareTitle !== undefined) return step.prepareTitle;
  return step.titleFor?.(config) ?? step.title;
}

/** Where a run goes. */
export interface Target {
  readonly commit: string;
  /** For people: a tag or a short id. */
  readonly label: string;
  readonly config: Config;
  /** The options by which it was asked for, where it goes by those of `update`. */
  readonly asked?: AskedUpdate;
}

/** Where a run comes from. */
export interface Origin {
  readonly commit: string;
  readonly ref: string | undefined;
  readonly label: string;
}

/** What a rollback brings back. */
export interface Restoring {
  readonly manifest: VerifiedManifest;
  readonly folder: string;
  /** Paths of the checkout that stay as they are. */
  readonly keep?: readonly string[];
}

/** What a run that only migrates the schema is to do. */
export interface Migrating {
  /** The last migration to apply; all where absent. */
  readonly to?: string | undefined;
  /** Those to take back instead, the newest first, each with the SQL that does. */
  readonly down?: readonly { readonly name: string; readonly sql: string }[];
  /** Services stay down: the code at hand would not belong to the schema. */
  readonly leaveStopped?: boolean;
}

export interface StepContext {
  /** Inside the run, with the configuration that the appliance has now. */
  readonly appliance: Appliance;
  readonly kind: RunKind;
  readonly runId: string;
  readonly runFolder: string;
  readonly journal: Journal;
  readonly origin: Origin;
  readonly target: Target;
  readonly draft: SnapshotDraft;
  /** For a rollback: the snapshot that comes back, verified. */
  readonly restoring?: Restoring;
  /** For a rollback over a database that cannot be read: it is set aside, but not backed up. */
  readonly withoutSafety: boolean;
  /** Schema migrations may take data away. */
  readonly allowDestructive: boolean;
  /** Whether a test environment is migrated all the same. */
  readonly migrate: boolean;
  /** For a run that only migrates. */
  readonly migrating?: Migrating;
  readonly gate: () => Gate;
  readonly signal: AbortSignal;
  /** What the step is doing, for the terminal. */
  readonly note: (line: string) => void;
  /** A line of output of a command, for the log. */
  readonly output: (line: string) => void;
  readonly warn: (message: string) => void;
}
