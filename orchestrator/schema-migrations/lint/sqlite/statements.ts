import type { Comment } from '../directives.ts';
import { createdKind, tokenize, type Token } from './tokens.ts';

/** A statement of a file for SQLite. */
export interface SqliteStatement {
  /** Without the semicolon at its end. */
  readonly text: string;
  /** Of its first word, from 1. */
  readonly line: number;
  /** At least one. Their places are those in `text`. */
  readonly tokens: readonly Token[];
}

export interface SqliteFile {
  readonly statements: readonly SqliteStatement[];
  readonly comments: readonly Comment[];
}

/** Takes a file apart into its statements. Never throws. */
export function splitSqlite(sql: string): SqliteFile {
  const { tokens, comments } = tokenize(sql);
  const statements: SqliteStatement[] = [];
  let own: Token[] = [];
  const finish = () => {
    const [first, last] = [own[0], own.at(-1)];
    if (first && last)
      statements.push({
        text: sql.slice(first.start, last.end),
        line: first.line,
        tokens: own.map((one) => ({ ...one, start: one.start - first.start, end: one.end - first.start })),
      });
    own = [];
  };
  for (const token of tokens)
    if (isSemicolon(token) && (createdKind(own) !== 'TRIGGER' || isBodyEnded(own))) finish();
    else own.push(token);
  finish();
  return { statements, comments };
}

const isSemicolon = (token: Token | undefined) => token?.word === '' && token.text === ';';

/** A trigger's body holds semicolons. It ends with END after a semicolon, as `sqlite3_complete` has it; the END of a CASE has none before it. */
const isBodyEnded = (own: readonly Token[]) => own.at(-1)?.word === 'END' && isSemicolon(own.at(-2));
