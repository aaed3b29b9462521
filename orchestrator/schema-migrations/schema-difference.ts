import type { Engine } from '../database/engine.ts';
import { keyOf } from './lint/postgres/nodes.ts';
import { parsePostgres } from './lint/postgres/parse.ts';

/** What differs between two schemas. */
export interface SchemaDifference {
  /** What one has and the other has not, each marked. */
  readonly lines: readonly string[];
  /** Tables whose columns are the same and come in another order, as after one was dropped and added again. */
  readonly reordered: readonly string[];
}

/**
 * Compares two schemas as `ScratchDatabase.schemaText` writes them; `loadGrammar` comes before. The order of a table's
 * columns is told apart: no statement that names its columns depends on it.
 */
export function compareSchemas(before: string, after: string, engine: Engine): SchemaDifference {
  const [one, other] = [itemsOf(before, engine), itemsOf(after, engine)];
  const lines = [
    ...without(one, other).map((line) => `missing: ${line}`),
    ...without(other, one).map((line) => `left over: ${line}`),
  ];
  const tables = new Set(one.flatMap(({ table }) => table ?? []));
  const columns = (items: readonly Item[], of: string) =>
    items.flatMap(({ table, text }) => (table === of ? [text] : [])).join('\n');
  const reordered =
    lines.length > 0 ? [] : [...tables].filter((table) => columns(one, table) !== columns(other, table));
  return { lines, reordered };
}

interface Item {
  readonly text: string;
  /** Whose part it is. */
  readonly table?: string;
}

function without(items: readonly Item[], others: readonly Item[]): string[] {
  const texts = new Set(others.map(({ text }) => text));
  return items.map(({ text }) => text).filter((text) => !texts.has(text));
}

/** SQLite's text has a line for each thing; PostgreSQL's is SQL, in which a column is a line of its table's. */
function itemsOf(text: string, engine: Engine): Item[] {
  const lines = text.split('\n').filter((line) => line !== '');
  if (engine === 'sqlite')
    return lines.map((line) => {
      const table = /^([^:]+): /.exec(line)?.[1];
      return { text: line, ...(table === undefined ? {} : { table }) };
    });
  const { statements, syntaxError } = parsePostgres(text);
  // The server may be newer than the grammar.
  if (syntaxError) return lines.map((line) => ({ text: line }));
  return statements.flatMap(({ node, text: sql }): Item[] => {
    if (!('CreateStmt' in node)) return [{ text: sql.trim().replaceAll(/\s+/g, ' ') }];
    const table = keyOf(node.CreateStmt.relation);
    const [head = '', ...inside] = sql.trim().split('\n');
    return [
      { text: head },
      ...inside.map((line) => ({ text: `${table}: ${line.trim().replace(/,$/, '')}`, table })),
    ];
  });
}
