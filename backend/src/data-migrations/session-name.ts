import { createHash } from 'node:crypto';

/** By this name the sessions of migrations at work are known on the server; the id of the migration follows it. */
export const SESSION_NAME = 'holdfast data migration';
/** Those of dry runs: nothing of them stays, and a run leaves them alone. */
const DRY_RUN_NAME = 'holdfast dry run';

/** By this name the engine's own sessions in a migration's process say that they see to themselves (session-guard.mjs). */
const ENGINE_NAME = 'holdfast engine';

/** The address for those sessions; the guard gives them the migration's name all the same. */
export function asEngine(url: string): string {
  const named = new URL(url);
  named.searchParams.set('application_name', ENGINE_NAME);
  return named.href;
}

/** PostgreSQL cuts a name after 63 bytes. */
export function sessionName(id: string): string {
  return `${SESSION_NAME} ${id}`.slice(0, 63);
}

export function dryRunName(id: string): string {
  return `${DRY_RUN_NAME} ${id}`.slice(0, 63);
}

/** Those that a migration of this database has in another one of the same server: whose they are, their name says. */
export function nameElsewhere(database: string): string {
  return `holdfast migration of ${createHash('sha256').update(database).digest('hex').slice(0, 16)}`;
}
