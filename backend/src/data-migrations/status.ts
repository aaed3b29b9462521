import type { MigrationFile } from './discovery.ts';
import { isDone, type State } from './states.ts';
import type { Row } from './store.ts';

/** One migration for people and programs. */
export interface MigrationStatus {
  readonly id: string;
  readonly state: State;
  readonly finishedAt?: string;
  readonly durationMs?: number;
  readonly rows?: number;
  readonly attempts?: number;
  readonly reason?: string;
  /** RUNNING, but nobody gave a sign for a while: it was interrupted, and the next run goes on with it. */
  readonly interrupted?: true;
}

/** Which migrations are done, which are to come and which went wrong; no id is in two of the lists. */
export interface Summary {
  readonly applied: readonly string[];
  readonly pending: readonly string[];
  readonly failed: readonly string[];
  readonly migrations: readonly MigrationStatus[];
  readonly warnings: readonly string[];
}

/** An applied migration whose file is gone stays in the list, and so does one that did some rows: it did happen. */
export function summarize(
  files: readonly MigrationFile[],
  states: ReadonlyMap<string, State>,
  rows: readonly Row[],
  warnings: readonly string[],
  now: Date = new Date(),
): Summary {
  const byId = new Map(rows.map((row) => [row.id, row]));
  const gone = [...states].flatMap(([id, state]) => {
    const isBegun = (state === 'FAILED' || state === 'RUNNING') && (byId.get(id)?.batched ?? 0) > 0;
    return files.every((file) => file.id !== id) && (isDone(state) || isBegun) ? [id] : [];
  });
  const ids = [...files.map(({ id }) => id), ...gone];
  const migrations = ids.map((id) => describe(id, states.get(id) ?? 'PENDING', byId.get(id), now));
  const those = (isIt: (state: State) => boolean): string[] =>
    migrations.filter(({ state }) => isIt(state)).map(({ id }) => id);
  return {
    applied: those(isDone),
    pending: those((state) => state === 'PENDING' || state === 'RUNNING'),
    failed: those((state) => state === 'FAILED'),
    migrations,
    warnings,
  };
}

function describe(id: string, state: State, row: Row | undefined, now: Date): MigrationStatus {
  if (row === undefined || row.state !== state) return { id, state };
  const { finishedAt, durationMs, rows, attempts, reason, leaseUntil } = row;
  return {
    id,
    state,
    ...(finishedAt === null ? {} : { finishedAt: finishedAt.toISOString() }),
    ...(durationMs === null ? {} : { durationMs }),
    ...(rows === null ? {} : { rows }),
    ...(attempts === 0 ? {} : { attempts }),
    ...(reason === null ? {} : { reason }),
    ...(state === 'RUNNING' && (leaseUntil === null || leaseUntil < now)
      ? { interrupted: true as const }
      : {}),
  };
}

/** The summary for people. */
export function formatSummary({ applied, pending, failed, migrations, warnings }: Summary): string {
  const byId = new Map(migrations.map((one) => [one.id, one]));
  const line = (id: string): string => {
    const one = byId.get(id);
    const notes = [
      one?.state === 'NOT_NEEDED' ? 'not needed' : one?.state === 'SKIPPED' ? 'skipped' : '',
      one?.state === 'RUNNING'
        ? one.interrupted
          ? 'interrupted; the next run goes on with it'
          : 'running'
        : '',
      one?.reason ?? '',
    ].filter(Boolean);
    return `  ${id}${notes.length === 0 ? '' : ` (${notes.join(': ')})`}`;
  };
  const part = (name: string, ids: readonly string[]): string[] => [
    `${name}: ${ids.length}`,
    ...ids.map(line),
  ];
  return [
    ...part('applied', applied),
    ...part('pending', pending),
    ...part('failed', failed),
    ...warnings.map((warning) => `warning: ${warning}`),
  ].join('\n');
}

/** A migration in the list of all. */
export interface Listed {
  readonly id: string;
  readonly state: State;
  readonly description: string;
}

/** The list for people. */
export function formatList(migrations: readonly Listed[]): string {
  return migrations
    .map(({ id, state, description }) => `${id} [${state}] ${description}`.trimEnd())
    .join('\n');
}
