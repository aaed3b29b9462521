import { Sandbox } from '../lint/sqlite/sandbox.ts';
import { splitSqlite } from '../lint/sqlite/statements.ts';
import { fold } from '../lint/sqlite/tokens.ts';

/** Two tables, folded: what a script does to the first has to be applied before what it does to the second. */
export type Order = readonly [first: string, second: string];

/**
 * In which order foreign keys let a script be applied table by table: a table refers only to what is a key, and there may be
 * rows. What is a key only afterwards comes before what refers to it; what is none afterwards comes after whatever
 * referred to it.
 *
 * @param history the SQL of all migrations before it
 */
export async function orderOfReferences(sql: string, history: string): Promise<Order[]> {
  const sandbox = await Sandbox.open();
  sandbox.setForeignKeys(false);
  const run = (script: string) => {
    for (const statement of splitSqlite(script).statements) sandbox.attempt(statement);
    return readReferences(sandbox);
  };
  const [before, after] = [run(history), run(sql)];
  return [
    ...before.references.filter(({ key }) => !after.keys.has(key)).map(({ from, to }) => [from, to] as const),
    ...after.references.filter(({ key }) => !before.keys.has(key)).map(({ from, to }) => [to, from] as const),
  ];
}

/** What is there by now: foreign keys, and all that they may lead to. */
function readReferences(sandbox: Sandbox) {
  const found = sandbox.references();
  const schema = sandbox.schema(
    new Map(),
    found.map(({ to }) => to),
  );
  const markOf = (table: string, columns: readonly string[]) =>
    JSON.stringify([fold(table), ...columns.map(fold).toSorted()]);
  return {
    references: found.map(({ from, to, columns }) => ({
      from: fold(from),
      to: fold(to),
      key: markOf(to, columns ?? schema.get(fold(to))?.key ?? []),
    })),
    keys: new Set(
      [...schema.values()].flatMap(({ name, key, unique }) =>
        [key, ...unique].map((one) => markOf(name, one)),
      ),
    ),
  };
}
