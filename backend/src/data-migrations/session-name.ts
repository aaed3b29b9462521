/** By this name the sessions of migrations at work are known on the server; the id of the migration follows it. */
export const SESSION_NAME = 'holdfast data migration';
/** Those of dry runs: nothing of them stays, and a run leaves them alone. */
const DRY_RUN_NAME = 'holdfast dry run';

/** PostgreSQL cuts a name after 63 bytes. */
export function sessionName(id: string): string {
  return `${SESSION_NAME} ${id}`.slice(0, 63);
}

export function dryRunName(id: string): string {
  return `${DRY_RUN_NAME} ${id}`.slice(0, 63);
}
