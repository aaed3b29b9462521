import type { Connection } from './connection.ts';

/** The PostgreSQL server behind a database: one of our own, or somebody else's. */
export interface PostgresServer {
  /** The folder of the client programs, no older than the server. Throws Refusal with the fix. */
  bin(): Promise<string>;
  ensureRunning(): Promise<void>;
  stop(): Promise<void>;
  /** How services reach the database. */
  service(): Promise<Connection>;
  /** How the run's own commands reach it inside the window. */
  window(): Promise<Connection>;
  /** With the rights to create and rename databases. */
  admin(): Promise<Connection>;
  /** The variables under which services expect the URL. */
  readonly variables: readonly string[];
  /** Keeps outsiders out, or resolves to a warning that says that it cannot. */
  fence(): Promise<string | undefined>;
  unfence(): Promise<void>;
}
