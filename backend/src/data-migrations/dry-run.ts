import { Client } from 'pg';
import { closeWays } from './closed-ways.ts';
import { addEmptied, readStorage } from './emptied.ts';
import { quote } from './identifiers.ts';
import { asEngine } from './session-name.ts';
import { settleSession } from './session-settings.ts';
import { CHECK_DEFERRED, Session, unref } from './session.ts';

/** What a dry run would have changed in one table. */
export interface TableChange {
  readonly table: string;
  readonly inserted: number;
  readonly updated: number;
  readonly deleted: number;
  /** A few of the rows, as they are and as they would be; null where there is none. */
  readonly samples: readonly { readonly before: unknown; readonly after: unknown }[];
}

const SAMPLES = 3;
/** A name that no column has: that would be taken for the row. */
const ROW = 'holdfast_row';

/**
 * Runs `work` on a session whose transaction cannot be committed, and takes everything back.
 *
 * It is the database that refuses: it does not commit with two temporary tables that do not go together, so a COMMIT from
 * whomever becomes a rollback; and outside of that transaction the session may only read. What would begin or end a
 * transaction is not even sent, since a BEGIN READ WRITE asks for more outright.
 *
 * @returns what changed, and what no rollback takes back
 */
export async function tryOut(
  url: string,
  work: (session: Session) => Promise<void>,
): Promise<{ changes: TableChange[]; warnings: string[] }> {
  const session = await Session.open(url);
  const onlooker = new Client({ connectionString: asEngine(url) });
  try {
    await onlooker.connect();
    unref(onlooker);
    await settleSession(onlooker, url);
    // What the migration altered or locked nobody else can look at until it ends.
    await onlooker.query(`SET lock_timeout = '1s'`);
    await session.client.query('SET default_transaction_read_only = on');
    await session.client.query('BEGIN READ WRITE');
    // "unsupported ON COMMIT and foreign key combination", which no SET CONSTRAINTS brings forward.
    await session.client.query(`
      CREATE TEMPORARY TABLE holdfast_dry_run (id integer PRIMARY KEY) ON COMMIT DELETE ROWS;
      CREATE TEMPORARY TABLE holdfast_dry_run_kept (id integer REFERENCES holdfast_dry_run) ON COMMIT PRESERVE ROWS;
      SAVEPOINT holdfast_before`);
    await session.join();
    const open = await closeWays(session.client);
    const sequences = await readSequences(session.client);
    const storage = await readStorage(session.client);
    try {
      await work(session);
    } catch (error) {
      throw session.refused ?? error;
    }
    if (session.refused) throw session.refused;
    await verifyStillOpen(session.client);
    // What the COMMIT would check.
    await session.client.query(CHECK_DEFERRED);
    const changes = await readChanges(session.client, onlooker);
    const warnings = [
      ...session.warnings,
      ...describeSequences(sequences, await readSequences(session.client)),
      ...open.map(
        (name) =>
          `${name} is installed: what a function or a trigger writes through it, no rollback takes back`,
      ),
    ];
    return { changes: await addEmptied(session.client, storage, changes), warnings };
  } finally {
    await session.client.query('ROLLBACK').catch(() => {});
    await Promise.all([session.end(), onlooker.end().catch(() => {})]);
  }
}

/** @throws Error when the migration ended the transaction by a way that nobody looks at: what it did then is not known. */
async function verifyStillOpen(client: Client): Promise<void> {
  try {
    await client.query('SELECT FROM holdfast_dry_run');
  } catch (error) {
    throw new Error(
      'it ends the transaction that it is tried in: take its COMMIT or ROLLBACK out, and look at its rows: what it did after that may be there',
      {
        cause: error,
      },
    );
  }
}

/** By the sequence itself, not by its name: what is dropped and made anew is taken back. */
type Sequences = ReadonlyMap<
  string,
  { readonly name: string; readonly node: string; readonly last: string | null }
>;

async function readSequences(client: Client): Promise<Sequences> {
  const { rows } = await client.query<{ id: string; name: string; node: string; last: string | null }>(
    `SELECT c.oid::text AS id, format('%I.%I', schemaname, sequencename) AS name, c.relfilenode::text AS node, last_value::text AS last
     FROM pg_sequences JOIN pg_namespace n ON n.nspname = schemaname JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = sequencename`,
  );
  return new Map(rows.map(({ id, ...one }) => [id, one]));
}

function describeSequences(before: Sequences, after: Sequences): string[] {
  return [...after].flatMap(([id, { name, node, last }]) => {
    const was = before.get(id);
    // TRUNCATE ... RESTART IDENTITY and ALTER SEQUENCE put it elsewhere, which is taken back.
    if (was === undefined || was.last === last || was.node !== node) return [];
    return [
      `sequence ${name} went from ${was.last ?? 'unused'} to ${last} and stays there: no rollback takes it back`,
    ];
  });
}

interface Counts {
  readonly relation: number;
  readonly table: string;
  readonly inserted: number;
  readonly updated: number;
  readonly deleted: number;
}

async function readChanges(client: Client, onlooker: Client): Promise<TableChange[]> {
  const { rows } = await client.query<Counts>(`
    SELECT relid::int8::float8 AS relation, relid::regclass::text AS table, n_tup_ins::float8 AS inserted,
      n_tup_upd::float8 AS updated, n_tup_del::float8 AS deleted
    FROM pg_stat_xact_user_tables
    WHERE n_tup_ins + n_tup_upd + n_tup_del > 0 AND schemaname NOT LIKE 'pg\\_%' AND schemaname <> 'holdfast'
    ORDER BY 2`);
  const changes: TableChange[] = [];
  for (const { relation, ...counts } of rows)
    changes.push({
      ...counts,
      // They are for people to look at: without them it was tried all the same.
      samples: await inSavepoint(
        client,
        async () => await readSamples(client, onlooker, relation, counts.table),
      ),
    });
  return changes;
}

async function inSavepoint<T>(client: Client, read: () => Promise<readonly T[]>): Promise<readonly T[]> {
  await client.query('SAVEPOINT holdfast_samples');
  try {
    return await read();
  } catch {
    await client.query('ROLLBACK TO SAVEPOINT holdfast_samples');
    return [];
  }
}

/**
 * A row that this transaction wrote has its number, or one of its savepoints', as xmin; the row as everybody else still
 * sees it has it as xmax.
 */
async function readSamples(
  client: Client,
  onlooker: Client,
  relation: number,
  table: string,
): Promise<TableChange['samples']> {
  const key = await readKey(client, relation);
  const { rows: started } = await client.query<{ age: string }>(
    'SELECT age(pg_current_xact_id()::xid)::text AS age',
  );
  const age = started[0]?.age ?? '0';
  const after = await client.query<{ row: Record<string, unknown> }>(
    `SELECT to_jsonb(${ROW}.*) AS row FROM ${table} ${ROW} WHERE age(${ROW}.xmin) <= ${age} LIMIT ${SAMPLES}`,
  );
  if (after.rows.length > 0) {
    const before = await readByKey(
      onlooker,
      table,
      key,
      after.rows.map(({ row }) => row),
    );
    return after.rows.map(({ row }) => ({ before: before.get(keyOf(key, row)) ?? null, after: row }));
  }
  // Nothing but deleted rows: others still see them, marked with the number of who deleted them.
  const gone = await onlooker.query<{ row: Record<string, unknown> }>(
    `SELECT to_jsonb(${ROW}.*) AS row FROM ${table} ${ROW} WHERE ${ROW}.xmax::text <> '0' AND age(${ROW}.xmax) <= ${age} LIMIT ${SAMPLES}`,
  );
  return gone.rows.map(({ row }) => ({ before: row, after: null }));
}

const keyOf = (key: readonly string[], row: Record<string, unknown>): string =>
  JSON.stringify(key.map((column) => row[column]));

/** The same rows as everybody else sees them. */
async function readByKey(
  onlooker: Client,
  table: string,
  key: readonly string[],
  rows: readonly Record<string, unknown>[],
): Promise<Map<string, unknown>> {
  if (key.length === 0) return new Map();
  const matches = key.map((column) => `${ROW}.${quote.name(column)} = k.${quote.name(column)}`).join(' AND ');
  const found = await onlooker.query<{ row: Record<string, unknown> }>(
    `SELECT to_jsonb(${ROW}.*) AS row FROM ${table} ${ROW} JOIN jsonb_populate_recordset(NULL::${table}, $1::jsonb) AS k ON ${matches}`,
    [JSON.stringify(rows)],
  );
  return new Map(found.rows.map(({ row }) => [keyOf(key, row), row]));
}

async function readKey(client: Client, relation: number): Promise<string[]> {
  const { rows } = await client.query<{ name: string }>(
    `SELECT a.attname AS name FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY(i.indkey)
     WHERE i.indrelid = $1 AND i.indisprimary`,
    [relation],
  );
  return rows.map(({ name }) => name);
}
