/** By this name the engine's own sessions are known on the server; the id of the migration follows it. */
export const SESSION_NAME = 'holdfast data migration';

/** PostgreSQL cuts a name after 63 bytes. */
export function sessionName(id: string): string {
  return `${SESSION_NAME} ${id}`.slice(0, 63);
}
