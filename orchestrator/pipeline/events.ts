import type { RestorePhase, RunKind, StepName } from './journal-entries.ts';

/** What happens in a run, for whoever listens: the terminal, NDJSON, the log. Nobody who listens can change it. */
export type Event =
  | {
      readonly type: 'run';
      readonly run: string;
      readonly kind: RunKind;
      readonly from: string;
      readonly to: string;
    }
  | {
      readonly type: 'step';
      readonly step: StepName;
      readonly half: 'prepare' | 'apply';
      /** For people. */
      readonly title: string;
      readonly state: 'started' | 'finished' | 'failed' | 'skipped';
      readonly ms?: number;
      readonly message?: string;
    }
  | { readonly type: 'note'; readonly message: string }
  | { readonly type: 'output'; readonly line: string }
  | { readonly type: 'warning'; readonly message: string }
  | { readonly type: 'restore'; readonly phase: RestorePhase; readonly state: 'started' | 'finished' }
  | { readonly type: 'say'; readonly message: string }
  /** What the appliance's own run.sh of its data migrations tells with --json, as it tells it. */
  | { readonly type: 'data-migrations'; readonly event: Readonly<Record<string, unknown>> }
  | ResultEvent;

/** The last line of `--json`. */
export interface ResultEvent {
  readonly type: 'result';
  readonly ok: boolean;
  readonly exitCode: number;
  readonly outcome?: string;
  readonly [key: string]: unknown;
}

export type Listener = (event: Event) => void;

/** Shows tasks while it runs them, in their order, and stops at the first that throws, which it throws on. */
export interface Driver {
  /** @param options.tellsWhy false where the caller tells why a task failed: it is told once */
  drive(tasks: readonly DriverTask[], options?: { readonly tellsWhy?: boolean }): Promise<void>;
}

export interface DriverTask {
  readonly title: string;
  /** Resolves to why it was skipped, or to undefined when it was done. */
  run(note: (line: string) => void): Promise<string | undefined>;
}
