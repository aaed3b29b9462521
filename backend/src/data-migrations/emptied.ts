import type { Client } from 'pg';
import type { TableChange } from './dry-run.ts';
import { quote } from './identifiers.ts';

/** Where the rows of each table are on the disk: TRUNCATE, which counts no rows, puts them elsewhere. */
export type Storage = ReadonlyMap<string, { readonly table: string; readonly node: string }>;

const SAMPLES = 3;

export async function readStorage(client: Client): Promise<Storage> {
  const { rows } = await client.query<{ relation: string; table: string; node: string }>(`
    SELECT oid::text AS relation, oid::regclass::text AS table, relfilenode::text AS node FROM pg_class
    WHERE relkind = 'r' AND relnamespace::regnamespace::text NOT LIKE ALL (ARRAY['pg\\_%', 'holdfast', 'information\\_schema'])`);
  return new Map(rows.map(({ relation, ...one }) => [relation, one]));
}

/**
 * Adds the rows that went with a TRUNCATE or a DROP TABLE to what was counted. To count them, it takes back what was
 * done since the savepoint `holdfast_before`.
 */
export async function addEmptied(
  client: Client,
  before: Storage,
  changes: readonly TableChange[],
): Promise<TableChange[]> {
  const after = await readStorage(client);
  const moved = [...before].filter(([relation, { node }]) => after.get(relation)?.node !== node);
  if (moved.length === 0) return [...changes];
  const left = new Map<string, number>();
  for (const [relation] of moved) {
    const now = after.get(relation);
    left.set(relation, now === undefined ? 0 : await countRows(client, now.table));
  }
  await client.query('ROLLBACK TO SAVEPOINT holdfast_before');
  const all = new Map(changes.map((change) => [change.table, change]));
  for (const [relation, { table }] of moved) {
    const name = after.get(relation)?.table ?? table;
    const counted = all.get(name) ?? { table: name, inserted: 0, updated: 0, deleted: 0, samples: [] };
    // What was counted, was counted since the table was emptied. One that was only rewritten (ALTER TABLE) lacks none.
    const expected = (await countRows(client, table)) + counted.inserted - counted.deleted;
    const removed = expected - (left.get(relation) ?? 0);
    if (removed <= 0) continue;
    const { rows } = await client.query<{ before: unknown }>(
      `SELECT to_jsonb(holdfast_row.*) AS before FROM ${table} holdfast_row LIMIT ${SAMPLES}`,
    );
    const gone = rows.map((row) => ({ before: row.before, after: null }));
    all.set(name, {
      ...counted,
      deleted: counted.deleted + removed,
      samples: [...gone, ...counted.samples].slice(0, SAMPLES),
    });
  }
  return [...all.values()].toSorted((one, other) =>
    quote.plain(one.table).localeCompare(quote.plain(other.table)),
  );
}

async function countRows(client: Client, table: string): Promise<number> {
  const { rows } = await client.query<{ n: number }>(`SELECT count(*)::float8 AS n FROM ${table}`);
  return rows[0]?.n ?? 0;
}
