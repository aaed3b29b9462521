import type { TableChange } from './dry-run.ts';
import { formatProgress } from './progress.ts';
import type { Progress } from './protocol.ts';
import { describeChange } from './table-change.ts';

/** Everything that somebody may be told while the engine works. */
export type Event =
  | { readonly type: 'warning'; readonly message: string }
  | { readonly type: 'run-started'; readonly pending: number; readonly applied: number }
  | { readonly type: 'migration-started'; readonly id: string; readonly resumes: boolean }
  | { readonly type: 'migration-log'; readonly id: string; readonly message: string }
  | ({ readonly type: 'migration-progress'; readonly id: string } & Progress)
  | {
      readonly type: 'migration-finished';
      readonly id: string;
      readonly status: 'success' | 'not-needed' | 'failed';
      readonly executionTimeMs: number;
      readonly rows?: number;
    }
  | { readonly type: 'migration-taken-back'; readonly id: string; readonly executionTimeMs: number }
  | {
      readonly type: 'migration-planned';
      readonly id: string;
      readonly wouldRun: boolean;
      readonly rows?: number;
      readonly changes?: readonly TableChange[];
      readonly warnings?: readonly string[];
    }
  | { readonly type: 'result'; readonly ok: true; readonly message: string }
  | { readonly type: 'result'; readonly ok: false; readonly exitCode: number; readonly error: string };

export type Report = (event: Event) => void;

/** One JSON object a line, for programs. */
export function reportAsJson(event: Event): void {
  process.stdout.write(`${JSON.stringify(event)}\n`);
}

/** On a terminal progress has one line that changes; elsewhere a line now and then. */
const QUIET_MS = 5_000;

/** Plain lines for people: progress on stdout, the reason of a failure on stderr. */
export function createTextReport(
  out: { write(text: string): unknown; isTTY?: boolean } = process.stdout,
  err: { write(text: string): unknown } = process.stderr,
): Report {
  let steady = false;
  let saidAt = 0;
  return (event) => {
    if (event.type === 'migration-progress') {
      const line = `    ${formatProgress(event)}`;
      if (out.isTTY === true) {
        out.write(`\r\u001B[2K${line}`);
        steady = true;
      } else if (performance.now() - saidAt > QUIET_MS || event.done === event.total) {
        saidAt = performance.now();
        out.write(`${line}\n`);
      }
      return;
    }
    if (steady) out.write('\n');
    steady = false;
    if (event.type === 'result' && !event.ok) err.write(`${event.error}\n`);
    else if (event.type === 'warning') err.write(`warning: ${event.message}\n`);
    else out.write(`${describe(event)}\n`);
  };
}

type Told = Exclude<Event, { ok: false } | { type: 'migration-progress' } | { type: 'warning' }>;

function describe(event: Told): string {
  switch (event.type) {
    case 'run-started':
      return `Data migrations: ${event.pending} to run, ${event.applied} already applied.`;
    case 'migration-started':
      return `→ ${event.id}${event.resumes ? ' (was interrupted; goes on)' : ''}`;
    case 'migration-log':
      return `    ${event.message}`;
    case 'migration-finished':
      return `${event.status === 'failed' ? '✖' : '✔'} ${event.id}: ${event.status}${event.rows === undefined ? '' : `, ${event.rows} rows`} (${event.executionTimeMs} ms)`;
    case 'migration-taken-back':
      return `↺ ${event.id}: taken back (${event.executionTimeMs} ms)`;
    case 'migration-planned':
      return describePlanned(event);
    case 'result':
    default:
      return event.message;
  }
}

function describePlanned(event: Extract<Event, { type: 'migration-planned' }>): string {
  const lines = [`${event.id}: ${event.wouldRun ? 'would run' : 'not needed'}`];
  for (const change of event.changes ?? []) {
    lines.push(`    ${describeChange(change)}`);
    for (const { before, after } of change.samples)
      lines.push(`      ${shorten(before)}`, `      → ${shorten(after)}`);
  }
  if (event.wouldRun && event.changes?.length === 0) lines.push('    changes no rows');
  for (const warning of event.warnings ?? []) lines.push(`    ! ${warning}`);
  return lines.join('\n');
}

function shorten(row: unknown): string {
  if (row === null) return '(no row)';
  const text = JSON.stringify(row);
  return text.length > 160 ? `${text.slice(0, 157)}...` : text;
}
