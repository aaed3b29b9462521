import type { Status } from './registry.ts';

/** Everything that somebody may be told while the engine works. */
export type Event =
  | { readonly type: 'run-started'; readonly pending: number; readonly applied: number }
  | { readonly type: 'migration-started'; readonly id: string }
  | { readonly type: 'migration-log'; readonly id: string; readonly message: string }
  | {
      readonly type: 'migration-finished';
      readonly id: string;
      readonly status: Status;
      readonly executionTimeMs: number;
    }
  | { readonly type: 'migration-planned'; readonly id: string; readonly wouldRun: boolean }
  | { readonly type: 'result'; readonly ok: true; readonly message: string }
  | { readonly type: 'result'; readonly ok: false; readonly exitCode: number; readonly error: string };

export type Report = (event: Event) => void;

/** One JSON object a line, for programs. */
export function reportAsJson(event: Event): void {
  process.stdout.write(`${JSON.stringify(event)}\n`);
}

/** Plain lines for people: progress on stdout, the reason of a failure on stderr. */
export function reportAsText(event: Event): void {
  if (event.type === 'result' && !event.ok) process.stderr.write(`${event.error}\n`);
  else process.stdout.write(`${describe(event)}\n`);
}

function describe(event: Exclude<Event, { ok: false }>): string {
  switch (event.type) {
    case 'run-started':
      return `Data migrations: ${event.pending} to run, ${event.applied} already applied.`;
    case 'migration-started':
      return `→ ${event.id}`;
    case 'migration-log':
      return `    ${event.message}`;
    case 'migration-finished':
      return `${event.status === 'failed' ? '✖' : '✔'} ${event.id}: ${event.status} (${event.executionTimeMs} ms)`;
    case 'migration-planned':
      return `${event.id}: ${event.wouldRun ? 'would run' : 'not needed'}`;
    case 'result':
    default:
      return event.message;
  }
}
