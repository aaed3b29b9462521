/** A database as text, in a form that can be compared. */
export interface Dump {
  /** Everything that is neither a row nor the state of a sequence. */
  readonly schema: string;
  readonly tables: ReadonlyMap<string, Table>;
  readonly sequences: ReadonlyMap<string, number>;
}

export interface Table {
  readonly columns: readonly string[];
  /** The cells of each row as COPY writes them. */
  readonly rows: readonly (readonly string[])[];
}

/** How COPY writes NULL. */
export const nullCell = String.raw`\N`;

const copyStart = /^COPY (.+?) \((.*)\) FROM stdin;$/;
const setval = /^SELECT pg_catalog\.setval\('([^']+)', (\d+), \w+\);$/;

/**
 * Reads what `pg_dump --format=plain` and `pg_restore --file=-` print. Comments go, and so do the \restrict lines, which
 * hold a random word.
 */
export function parseDump(text: string): Dump {
  const schema: string[] = [];
  const tables = new Map<string, Table>();
  const sequences = new Map<string, number>();
  let rows: string[][] | undefined;
  for (const line of text.split('\n')) {
    if (rows) {
      if (line === String.raw`\.`) rows = undefined;
      else rows.push(line.split('\t'));
      continue;
    }
    const [, table, columns] = copyStart.exec(line) ?? [];
    const [, sequence, value] = setval.exec(line) ?? [];
    if (table !== undefined && columns !== undefined) {
      rows = [];
      tables.set(table, { columns: columns.split(', '), rows });
    } else if (sequence !== undefined) {
      sequences.set(sequence, Number(value));
    } else if (line !== '' && !line.startsWith('--') && !/^\\(un)?restrict /.test(line)) {
      schema.push(line);
    }
  }
  return { schema: schema.join('\n'), tables, sequences };
}

/** The rows of a table as objects with only these columns, those that the table lacks left out. */
export function pick(table: Table | undefined, columns: readonly string[]): Record<string, string>[] {
  if (!table) return [];
  const places = columns.flatMap((column) => {
    const place = table.columns.indexOf(column);
    return place === -1 ? [] : [{ column, place }];
  });
  return table.rows.map((row) =>
    Object.fromEntries(places.map(({ column, place }) => [column, row[place] ?? ''])),
  );
}

/** A dump without the machines whose serial numbers begin so: those that the client of one run wrote. */
export function withoutSerials(dump: Dump, prefix: string): Dump {
  const tables = [...dump.tables].map(([name, table]): [string, Table] => {
    const place = table.columns.indexOf('serial');
    const rows =
      place === -1 ? table.rows : table.rows.filter((row) => row[place]?.startsWith(prefix) !== true);
    return [name, { ...table, rows }];
  });
  return { ...dump, tables: new Map(tables) };
}

export function countRows(dump: Dump): number {
  return [...dump.tables.values()].reduce((sum, { rows }) => sum + rows.length, 0);
}
