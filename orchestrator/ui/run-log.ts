import { appendFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { pino } from 'pino';
import { stringifyMasked, type Secrets } from '../lib/secrets.ts';
import type { Listener } from '../pipeline/events.ts';

/** Where everything of a run is written. */
export const logPath = (runFolder: string) => join(runFolder, 'run.log');

/**
 * Writes everything that happens in a run, and everything that its commands print, into the run's log: one JSON line
 * each, mode 0600, secrets masked. A log that cannot be written (a full disk) does not stop a run.
 */
export function logListener(runFolder: string, secrets: Secrets): Listener {
  mkdirSync(runFolder, { recursive: true, mode: 0o700 });
  const path = logPath(runFolder);
  const clean = (text: string) => secrets.mask(text);
  const log = pino(
    {
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    {
      write: (line: string) => {
        try {
          appendFileSync(path, `${stringifyMasked(JSON.parse(line), clean)}\n`, { mode: 0o600 });
        } catch {
          // The journal tells the same in short, and recovery does not read logs.
        }
      },
    },
  );
  return (event) => {
    switch (event.type) {
      case 'output':
        return log.info({ type: 'output' }, event.line);
      case 'warning':
        return log.warn({ type: 'warning' }, event.message);
      case 'note':
      case 'say':
        return log.info({ type: event.type }, event.message);
      case 'step': {
        const { message, ...rest } = event;
        return log[event.state === 'failed' ? 'error' : 'info'](
          rest,
          `${event.step} ${event.state}${message === undefined ? '' : `: ${message}`}`,
        );
      }
      case 'run':
      case 'restore':
      case 'result':
      case 'data-migrations':
        return log.info(event);
    }
  };
}

/** Several listeners as one. */
export function both(...listeners: readonly Listener[]): Listener {
  return (event) => {
    for (const listener of listeners) listener(event);
  };
}
