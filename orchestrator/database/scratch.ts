import { Client } from 'pg';
import type { PostgresClient } from './client.ts';
import type { AppliedMigration, RecordedDataMigration, SchemaInspection } from './engine.ts';
import type { Connection } from './connection.ts';
import { inspectSchema, readDataMigrations, readSchemaMigrations } from './recorded-migrations.ts';

/** A database of ours to try things on: nobody else knows it, and it is dropped afterwards. */
export interface ScratchDatabase {
  /** The variables with which programs reach it, in the place of the live one. */
  readonly environment: Readonly<Record<string, string>>;
  appliedMigrations(): Promise<AppliedMigration[]>;
  dataMigrations(): Promise<RecordedDataMigration[]>;
  inspectSchema(): Promise<SchemaInspection>;
  /** Runs SQL in it as the service's user, all of it in one transaction. Throws with the engine's words. */
  execute(sql: string): Promise<void>;
  /** Its schema as text, without what differs from one database to the next. */
  schemaText(): Promise<string>;
  /** Watches what is locked and what is written while something works on it. */
  watch<T>(work: () => Promise<T>): Promise<{ readonly result: T; readonly activity: Activity }>;
}

/** What somebody's work did to a database. */
export interface Activity {
  /** How long others could not read or write a table, the longest first. */
  readonly locks: readonly TableLock[];
  /** Rows that were inserted, updated or deleted, by table, the most first. */
  readonly rows: readonly { readonly table: string; readonly rows: number }[];
}

export interface TableLock {
  readonly table: string;
  /** `read`: not even a SELECT gets through; `write`: no INSERT, UPDATE or DELETE does. */
  readonly blocks: 'read' | 'write';
  readonly ms: number;
}

const everyMs = 20;

/** As `ScratchDatabase.watch`. Locks are looked at fifty times a second: shorter ones may be missed, and bother nobody. */
export async function watchDatabase<T>(
  connection: Connection,
  work: () => Promise<T>,
): Promise<{ result: T; activity: Activity }> {
  const client = new Client({ ...connection, application_name: 'holdfast-watch' });
  client.on('error', () => {});
  await client.connect();
  try {
    const before = await readRows(client);
    const seen = new Map<string, TableLock>();
    const state = { over: false };
    const watching = (async () => {
      let lookedAt = performance.now();
      while (!state.over) {
        const now = performance.now();
        // On a busy machine the looks come later than they were meant to.
        await noteLocks(client, seen, Math.max(everyMs, Math.round(now - lookedAt)));
        lookedAt = now;
        await new Promise((resolve) => setTimeout(resolve, everyMs));
      }
    })();
    let result: T;
    try {
      result = await work();
    } finally {
      state.over = true;
      await watching.catch(() => undefined);
    }
    const rows = [...(await readRows(client))]
      .map(([table, count]) => ({ table, rows: count - (before.get(table) ?? 0) }))
      .filter((one) => one.rows > 0)
      .toSorted((one, other) => other.rows - one.rows);
    const locks = [...seen.values()].toSorted((one, other) => other.ms - one.ms);
    return { result, activity: { locks, rows } };
  } finally {
    await client.end();
  }
}

/** @param sinceMs how long ago it was looked the last time: so long what is locked now counts as locked */
async function noteLocks(client: Client, seen: Map<string, TableLock>, sinceMs: number): Promise<void> {
  const { rows } = await client.query<{ table: string; mode: string }>(locksSql);
  for (const { table, mode } of rows) {
    const blocks = mode === 'AccessExclusiveLock' ? 'read' : 'write';
    const known = seen.get(table);
    seen.set(table, {
      table,
      blocks: known?.blocks === 'read' ? 'read' : blocks,
      ms: (known?.ms ?? 0) + sinceMs,
    });
  }
}

/** Modes that conflict with ROW EXCLUSIVE, which every writer takes: "Explicit Locking" in PostgreSQL's documentation. */
const locksSql = `
select distinct on (c.oid) case n.nspname when 'public' then '' else n.nspname || '.' end || c.relname as table, l.mode
from pg_locks l join pg_class c on c.oid = l.relation join pg_namespace n on n.oid = c.relnamespace
where l.granted and l.locktype = 'relation' and c.relkind in ('r', 'p') and l.pid <> pg_backend_pid()
  and l.database = (select oid from pg_database where datname = current_database())
  and l.mode in ('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')
  and n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast')
  -- What this transaction has made is seen by nobody else, who cannot wait for it either.
  and exists (select from pg_stat_user_tables s where s.relid = c.oid)
order by c.oid, (l.mode = 'AccessExclusiveLock') desc`;

async function readRows(client: Client): Promise<Map<string, number>> {
  // Counters of sessions that have ended are there; those that live send theirs within a second.
  const { rows } = await client.query<{ table: string; written: string }>(
    `select case schemaname when 'public' then '' else schemaname || '.' end || relname as table,
       (n_tup_ins + n_tup_upd + n_tup_del)::text as written from pg_stat_user_tables
     where relname <> '_prisma_migrations' and schemaname <> 'holdfast'`,
  );
  return new Map(rows.map(({ table, written }) => [table, Number(written)]));
}

/**
 * What both kinds of server have in common.
 *
 * @param client as the administrator
 * @param service as the service's user, who owns what migrations make
 */
export function scratchDatabase(
  client: PostgresClient,
  service: PostgresClient,
  connection: Connection,
  environment: Readonly<Record<string, string>>,
): ScratchDatabase {
  return {
    environment,
    appliedMigrations: async () => await readSchemaMigrations(client),
    dataMigrations: async () => (await readDataMigrations(client)) ?? [],
    inspectSchema: async () => await inspectSchema(client),
    execute: async (sql) => await service.execute(sql, { single: true, timeoutMs: 3_600_000 }),
    schemaText: async () => await client.schemaText(),
    watch: async (work) => await watchDatabase(connection, work),
  };
}
