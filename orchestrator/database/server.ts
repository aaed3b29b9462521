import type { Connection } from './connection.ts';
import type { DatabaseGlance } from './engine.ts';

/** The PostgreSQL server behind a database: one of our own, or somebody else's. */
export interface PostgresServer {
  /** The folder of the client programs, no older than the server. Throws Refusal with the fix. */
  bin(): Promise<string>;
  ensureRunning(): Promise<void>;
  /** @see Database.glance */
  glance(): Promise<DatabaseGlance>;
  /** True where its data lie on this machine's disk, under the state directory. */
  readonly isOurs: boolean;
  stop(): Promise<void>;
  /** How services reach the database. */
  service(): Promise<Connection>;
  /** How the run's own commands reach it inside the window. */
  window(): Promise<Connection>;
  /** With the rights to create and rename databases. */
  admin(): Promise<Connection>;
  /**
   * The variables with which programs reach the database: services, or the run's own commands inside the window.
   *
   * @param database another name for it, where it has one for the window
   */
  variables(side: 'service' | 'window', database: string | undefined): Promise<Record<string, string>>;
  /**
   * How outsiders are kept out inside the window: the server closes its TCP side, the database goes by another name,
   * or not at all.
   */
  readonly fenceBy: 'server' | 'name' | 'nothing';
  /** With `fenceBy: 'server'`: closes and opens it. Nothing otherwise. */
  fence(): Promise<void>;
  /** With `fenceBy: 'server'`: lets in nobody but the administrator. */
  seclude(): Promise<void>;
  unfence(): Promise<void>;
}
