import { nullCell, pick, type Dump, type Table } from './dump.ts';

/**
 * What differs between two states of a database, in any order of the rows; nothing when they are the same. A sequence
 * may have moved on: numbers that the client took, or that a transaction threw away, do not come back. It must not
 * have moved back.
 */
export function compareDumps(before: Dump, after: Dump): string[] {
  const differences: string[] = [];
  if (before.schema !== after.schema)
    differences.push(`the schema differs: ${firstDifference(before.schema, after.schema)}`);
  for (const name of new Set([...before.tables.keys(), ...after.tables.keys()])) {
    const [old, now] = [before.tables.get(name), after.tables.get(name)];
    if (!old || !now) {
      differences.push(`table ${name} ${old ? 'is missing' : 'was not there'}`);
      continue;
    }
    if (old.columns.join() !== now.columns.join()) differences.push(`table ${name} has other columns`);
    const { missing, extra } = compareRows(keysOf(old), keysOf(now));
    if (missing + extra > 0)
      differences.push(`table ${name}: ${missing} rows are missing or changed, ${extra} are new or changed`);
  }
  for (const [name, value] of before.sequences) {
    const now = after.sequences.get(name);
    if (now === undefined || now < value) differences.push(`sequence ${name} is at ${now}, was at ${value}`);
  }
  return differences;
}

/**
 * What an update lost of a database: rows of the tables of users must still be there with what their old columns held.
 * New columns that the update fills must hold something in each of them.
 */
export function compareAfterUpdate(
  before: Dump,
  after: Dump,
  filled: { readonly table: string; readonly columns: readonly string[] },
): string[] {
  const differences: string[] = [];
  for (const [name, old] of before.tables) {
    if (!name.startsWith('public.')) continue;
    const now = pick(after.tables.get(name), old.columns).map((row) => keyOf(Object.values(row)));
    const { missing, extra } = compareRows(keysOf(old), now);
    if (missing > 0) differences.push(`table ${name}: ${missing} rows are missing or changed`);
    if (extra > 0 && name === filled.table)
      differences.push(`table ${name}: ${extra} rows are new or changed`);
  }
  const empty = pick(after.tables.get(filled.table), filled.columns).filter(
    (row) => Object.keys(row).length < filled.columns.length || Object.values(row).includes(nullCell),
  );
  if (empty.length > 0)
    differences.push(
      `table ${filled.table}: ${empty.length} rows have nothing in ${filled.columns.join(' or ')}`,
    );
  return differences;
}

const keyOf = (cells: readonly string[]) => cells.join('\t');
const keysOf = (table: Table) => table.rows.map(keyOf);

function compareRows(
  before: readonly string[],
  after: readonly string[],
): { missing: number; extra: number } {
  const count = new Map<string, number>();
  for (const row of before) count.set(row, (count.get(row) ?? 0) + 1);
  for (const row of after) count.set(row, (count.get(row) ?? 0) - 1);
  const values = [...count.values()];
  return {
    missing: values.filter((value) => value > 0).reduce((sum, value) => sum + value, 0),
    extra: values.filter((value) => value < 0).reduce((sum, value) => sum - value, 0),
  };
}

function firstDifference(before: string, after: string): string {
  const [old, now] = [before.split('\n'), after.split('\n')];
  const at = old.findIndex((line, index) => line !== now[index]);
  return `${JSON.stringify(old[at] ?? 'nothing')} became ${JSON.stringify(now[at === -1 ? old.length : at] ?? 'nothing')}`;
}
