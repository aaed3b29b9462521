import { splitSqlite, type SqliteStatement } from '../lint/sqlite/statements.ts';
import { createdKind, fold, nameAt, type Token } from '../lint/sqlite/tokens.ts';
import type { Part } from './script-parts.ts';

/*
 * Prisma's script for SQLite as parts. What it cannot alter it rebuilds: `new_users` is made, filled and put in the place of
 * `users`, several tables between one pair of PRAGMAs. A rebuild is one part here, with PRAGMAs of its own.
 */

/**
 * @param sql as `prisma migrate diff --script` writes it
 * @param history the SQL of all migrations before it: it tells of which tables the indexes are
 */
export function sqlitePartsOf(sql: string, history: string): Part[] {
  const { statements } = splitSqlite(sql);
  const owners = indexOwners(splitSqlite(history).statements);
  /** By what is made, whose place it takes. */
  const rebuilt = new Map(
    statements.flatMap((statement) => {
      const rename = renameOf(statement);
      return rename ? [rename] : [];
    }),
  );
  const open = new Map<string, string[]>();
  const parts: Part[] = [];
  for (const statement of statements) {
    if (statement.tokens[0]?.word === 'PRAGMA') continue;
    const { table = '', index, verb } = factsOf(statement, owners);
    const text = `${statement.text};`;
    const key = fold(table);
    const made = rebuilt.has(key) ? key : [...open.keys()].find((one) => rebuilt.get(one) === key);
    if (made !== undefined) {
      const lines = [...(open.get(made) ?? []), text];
      open.set(made, lines);
      if (!renameOf(statement)) continue;
      open.delete(made);
      const name = nameAfter(statement.tokens, 'TO');
      parts.push(partOf(name, 'update', [name], withoutForeignKeys(lines.join('\n'))));
    } else if (table === '') parts.push(partOf('database', verb, undefined, text));
    else {
      const writes = [table, ...(index === undefined ? [] : [`index ${index}`])];
      parts.push(partOf(table, verb, writes, verb === 'drop' ? withoutForeignKeys(text) : text));
    }
  }
  return parts;
}

const partOf = (
  table: string,
  verb: Part['verb'],
  writes: readonly string[] | undefined,
  text: string,
): Part => ({
  ...{ group: fold(table), word: table, verb, isHelper: false, text, reads: [] },
  writes: writes?.map(fold),
});

/** As Prisma writes it around what it rebuilds or drops: rows that refer to it stay as they are. */
const withoutForeignKeys = (text: string) =>
  `PRAGMA defer_foreign_keys=ON;\nPRAGMA foreign_keys=OFF;\n${text}\nPRAGMA foreign_keys=ON;\nPRAGMA defer_foreign_keys=OFF;`;

interface Facts {
  /** Undefined where it is about none, or nobody knows about which. */
  readonly table: string | undefined;
  readonly index?: string | undefined;
  readonly verb: Part['verb'];
}

function factsOf({ tokens }: SqliteStatement, owners: ReadonlyMap<string, string>): Facts {
  const [first, second] = tokens.map(({ word }) => word);
  const made = createdKind(tokens);
  if (made === 'TABLE') return { table: nameAfter(tokens, 'TABLE'), verb: 'create' };
  if (first === 'CREATE' && tokens.some(({ word }) => word === 'INDEX'))
    return { table: nameAfter(tokens, 'ON'), index: nameAfter(tokens, 'INDEX'), verb: 'update' };
  if (first === 'DROP' && second === 'TABLE') return { table: nameAfter(tokens, 'TABLE'), verb: 'drop' };
  if (first === 'DROP' && second === 'INDEX') {
    const index = nameAfter(tokens, 'INDEX');
    return { table: owners.get(fold(index)), index, verb: 'update' };
  }
  if (first === 'ALTER') return { table: nameAfter(tokens, 'TABLE'), verb: 'update' };
  if (first === 'INSERT') return { table: nameAfter(tokens, 'INTO'), verb: 'update' };
  return { table: undefined, verb: 'update' };
}

/** The name behind a word, and behind IF [NOT] EXISTS. */
function nameAfter(tokens: readonly Token[], word: string): string {
  let at = tokens.findIndex((token) => token.word === word && token.depth === 0) + 1;
  while (['IF', 'NOT', 'EXISTS'].includes(tokens[at]?.word ?? '')) at += 1;
  return nameAt(tokens, at).name;
}

/** Of the last statement of a rebuild: what was made, and whose place it takes. */
function renameOf({ tokens }: SqliteStatement): [string, string] | undefined {
  if (tokens[0]?.word !== 'ALTER' || !tokens.some(({ word }) => word === 'RENAME')) return undefined;
  const [from, to] = [nameAfter(tokens, 'TABLE'), nameAfter(tokens, 'TO')].map(fold) as [string, string];
  return from === `new_${to}` ? [from, to] : undefined;
}

function indexOwners(statements: readonly SqliteStatement[]): Map<string, string> {
  return new Map(
    statements.flatMap(({ tokens }) =>
      tokens[0]?.word === 'CREATE' && tokens.slice(1, 3).some(({ word }) => word === 'INDEX')
        ? [[fold(nameAfter(tokens, 'INDEX')), nameAfter(tokens, 'ON')] as const]
        : [],
    ),
  );
}
