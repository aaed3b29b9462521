import { setTimeout as sleep } from 'node:timers/promises';
import type { FastifyBaseLogger } from 'fastify';
import { logEvent, logOutcome, type MigrationEngine } from './migration-engine.ts';
import { isGateClosed, type MigrationSettings } from './migration-settings.ts';

/**
 * Looks at the data migrations once the backend listens, and runs what is pending if it was told to; all of it is
 * told in the log. A failure leaves the backend at work: what it serves is not ours to judge here.
 *
 * @param stopping aborted when the backend ends: nothing is begun any more
 */
export async function migrateAtStart(
  { atStart, reason, gateFile }: MigrationSettings,
  engine: MigrationEngine,
  log: FastifyBaseLogger,
  stopping: AbortSignal,
  pollMs = 1_000,
): Promise<void> {
  if (atStart === 'nothing') return;
  const seen = await engine.run(['--status']);
  if (!seen.ok) return logOutcome(log, seen);
  const { pending = [], failed = [], warnings = [] } = seen.answer as Partial<Record<string, string[]>>;
  for (const message of warnings) log.warn(`data migrations: ${message}`);
  const say = failed.length > 0 ? 'warn' : 'info';
  log[say]({ pending, failed }, `data migrations: ${pending.length} pending, ${failed.length} failed`);
  if (atStart === 'look' || pending.length + failed.length === 0) return;

  if (isGateClosed(gateFile)) log.info('data migrations: waiting for the update to be committed');
  while (isGateClosed(gateFile) && !stopping.aborted) await sleep(pollMs);
  if (stopping.aborted) return;
  log.info(`data migrations: AUTO_MIGRATE runs them${reason === undefined ? '' : ` (${reason})`}`);
  logOutcome(log, await engine.run([], (event) => logEvent(log, event)));
}
