/** The version of what is written into journals and manifests. */
export const stateFormat = 1;

/** What a run does to the appliance. */
export type RunKind = 'update' | 'rollback' | 'backup' | 'migrate';

export const stepNames = [
  // Of a setup, which has no journal; it shares the others' names.
  'prepare-database',
  'preflight',
  'stop-services',
  'backup-database',
  'backup-files',
  'backup-registry',
  'pull-code',
  'install-backend',
  'build-backend',
  'migrate-schema',
  'revert-schema',
  'migrate-data',
  'build-frontend',
  'restore-snapshot',
  'restart-services',
  'verify',
  'commit',
  'clean-up',
] as const;
export type StepName = (typeof stepNames)[number];

export const restorePhases = [
  'stop',
  'code',
  'products',
  'files',
  'database',
  'registry',
  'compare',
] as const;
export type RestorePhase = (typeof restorePhases)[number];

export interface RunStarted {
  readonly type: 'run-started';
  readonly format: number;
  readonly run: string;
  readonly kind: RunKind;
  readonly sequence: number;
  readonly pid: number;
  /** The kernel's id of the boot that it began in; older journals have none. */
  readonly boot?: string;
  readonly from: string;
  readonly to: string;
  readonly fromLabel: string;
  readonly toLabel: string;
  /** For a rollback: the snapshot that is brought back. */
  readonly snapshot?: string;
}

/** What a journal can say, in the order in which a run says it. A missing executor for one does not compile. */
export type JournalEntry =
  | RunStarted
  | { readonly type: 'prepared' }
  /** Before the window: a service runs that was built from another commit than the one that is checked out. */
  | { readonly type: 'answered'; readonly service: string; readonly commit: string }
  | { readonly type: 'window-opened'; readonly services: readonly string[] }
  | { readonly type: 'step-started'; readonly step: StepName; readonly half: 'prepare' | 'apply' }
  | {
      readonly type: 'step-finished';
      readonly step: StepName;
      readonly half: 'prepare' | 'apply';
      readonly ms: number;
    }
  | { readonly type: 'step-failed'; readonly step: StepName; readonly message: string }
  | { readonly type: 'sealed'; readonly snapshot: string; readonly manifestSha256: string }
  | {
      readonly type: 'database-replacement';
      readonly mark: string;
      readonly live: number;
      readonly replacement: number;
    }
  | { readonly type: 'restore-started'; readonly because: string }
  | { readonly type: 'restore-phase'; readonly phase: RestorePhase; readonly state: 'started' | 'finished' }
  | { readonly type: 'restored' }
  | {
      readonly type: 'committed';
      /** The code at hand does not belong to the schema: nothing is started. */
      readonly leaveStopped?: true;
    }
  | { readonly type: 'warning'; readonly message: string }
  | {
      readonly type: 'finished';
      readonly outcome: RunOutcome;
      readonly failedStep?: StepName;
      readonly outageMs?: number;
    };

export type RunOutcome =
  | 'updated'
  | 'rolled-back'
  | 'migrated'
  | 'backed-up'
  | 'restored'
  | 'not-restored'
  | 'refused'
  | 'interrupted'
  | 'failed-unchanged';

/** How far a run came, which alone decides what recovery does (the table in lxd/UPDATE_SYSTEM_DESIGN.md). */
export type RunPhase = 'prepared' | 'window' | 'sealed' | 'restored' | 'committed' | 'finished';

/** How a run of this kind ends when all of it is done. */
export const outcomeWhenDone = {
  update: 'updated',
  rollback: 'rolled-back',
  backup: 'backed-up',
  migrate: 'migrated',
} as const satisfies Readonly<Record<RunKind, RunOutcome>>;

/** The phase of a run by its records. */
export function phaseOf(records: readonly JournalEntry[]): RunPhase {
  let phase: RunPhase = 'prepared';
  for (const { type } of records) {
    if (type === 'window-opened') phase = 'window';
    else if (type === 'sealed') phase = 'sealed';
    else if (type === 'restored') phase = 'restored';
    else if (type === 'committed') phase = 'committed';
    else if (type === 'finished') phase = 'finished';
  }
  return phase;
}

/** What services answered as before the window, where that was another commit than the checkout's. */
export function answeredBefore(records: readonly JournalEntry[]): ReadonlyMap<string, string> {
  return new Map(
    records.flatMap((one) => (one.type === 'answered' ? [[one.service, one.commit] as const] : [])),
  );
}
