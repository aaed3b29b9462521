import type { TableChange } from './dry-run.ts';

/** What the engine asks of a process of its own, one for each migration. */
export interface Job {
  readonly id: string;
  readonly file: string;
  readonly kind: 'code' | 'sql';
  readonly task: 'describe' | 'up' | 'down';
  readonly url: string;
  /** The address of what `url` is a copy of, in a dry run on one. */
  readonly copyOf?: string;
  /** Everything is taken back at the end, by the database. */
  readonly dryRun: boolean;
  /** SHA-256 of the file and of what it imports from beside it. */
  readonly code?: string;
  /** In a dry run: what an earlier attempt's batches left is void. */
  readonly afresh?: boolean;
}

/** What a file says of itself. */
export interface Description {
  readonly id: unknown;
  readonly description?: string;
  readonly version?: string;
  readonly introducedIn?: string;
  readonly requiredBefore?: string;
  readonly hasDown: boolean;
  readonly problem?: string;
  /** Where it is, when that is known. */
  readonly line?: number;
}

/** How `up` or `down` ended, when it ended well. */
export interface Done {
  readonly status: 'success' | 'not-needed';
  readonly rows?: number;
  readonly result?: unknown;
  /** In a dry run: what the database would have kept. */
  readonly changes?: readonly TableChange[];
  readonly warnings?: readonly string[];
}

/** Rows that are done, of how many, how fast. */
export interface Progress {
  readonly done: number;
  readonly total?: number;
  /** Rows a second, over the last few seconds. */
  readonly rate: number;
  readonly secondsLeft?: number;
}

/**
 * From the worker to the engine. The migration runs in the same process and can write whatever it likes; an outcome
 * counts only with the secret, which the worker alone was told.
 */
export type FromWorker =
  | { readonly type: 'ready' }
  | { readonly type: 'described'; readonly secret: string; readonly description: Description }
  | { readonly type: 'log'; readonly message: string }
  | { readonly type: 'progress'; readonly progress: Progress }
  | { readonly type: 'done'; readonly secret: string; readonly done: Done }
  | { readonly type: 'failed'; readonly error: string };

/** From the engine to the worker. */
export type ToWorker =
  | { readonly type: 'jobs'; readonly jobs: readonly Job[]; readonly secret: string }
  | { readonly type: 'abort'; readonly reason: string };
