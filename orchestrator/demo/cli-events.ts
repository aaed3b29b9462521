import { formatDuration } from '../lib/units.ts';
import type { Paint } from '../ui/ui.ts';

/** One line of `--json`, as a program that knows nothing of our types would read it. */
export interface CliEvent {
  readonly type: string;
  readonly [key: string]: unknown;
}

/** A line of NDJSON with a type, or undefined for anything else, such as a warning of Node's. */
export function parseEventLine(line: string): CliEvent | undefined {
  if (!line.startsWith('{')) return undefined;
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null && 'type' in value && typeof value.type === 'string'
      ? (value as CliEvent)
      : undefined;
  } catch {
    return undefined;
  }
}

/** A text that an event carries; undefined where it carries none, or none that is a text. */
export function textOf(event: CliEvent | undefined, key: string): string | undefined {
  const value = event?.[key];
  return typeof value === 'string' ? value : undefined;
}

/** True once the services have stopped: between the writes before and those after lies this. */
export function isServicesStopped(event: CliEvent): boolean {
  return event.type === 'step' && event['step'] === 'stop-services' && event['state'] === 'finished';
}

/** What the operator reads of an event; undefined for what is not worth a line. */
export function describeEvent(event: CliEvent, paint: Paint): string | undefined {
  const { type, state } = event;
  const message = textOf(event, 'message') ?? '';
  if (type === 'warning') return `${paint.yellow('!')} ${message}`;
  if (type === 'restore' && state === 'finished')
    return `${paint.yellow('↺')} restored: ${textOf(event, 'phase')}`;
  if (type !== 'step') return undefined;
  const title = textOf(event, 'title') ?? textOf(event, 'step') ?? '';
  const took = typeof event['ms'] === 'number' ? paint.dim(` (${formatDuration(event['ms'])})`) : '';
  switch (state) {
    case 'finished':
      return `${paint.green('✔')} ${title}${took}`;
    case 'failed':
      return `${paint.red('✖')} ${title}${took}: ${message.split('\n')[0]}`;
    case 'skipped':
      return paint.dim(`- ${title}: ${message}`);
    default:
      return undefined;
  }
}
