import type { Deed } from './sandbox.ts';
import { splitSqlite, type SqliteStatement } from './statements.ts';
import { indexOfOwn, nameAt, type Token } from './tokens.ts';

/** What stands between BEGIN and END of a trigger. */
export interface Trigger {
  /** Those that write, with the table that each names. */
  readonly statements: readonly (SqliteStatement & { readonly written: Pick<Deed, 'does' | 'table'> })[];
  /** RAISE(IGNORE): the row that fired it is left out without a word. */
  readonly isIgnoring: boolean;
}

/** @param sql its CREATE TRIGGER; nothing of what is none */
export function readTrigger(sql = ''): Trigger {
  const tokens = splitSqlite(sql).statements[0]?.tokens ?? [];
  const begin = tokens[indexOfOwn(tokens, 'BEGIN')];
  const body = splitSqlite(begin ? sql.slice(begin.end, tokens.at(-1)?.start) : '');
  return {
    statements: body.statements.flatMap((one) => {
      const written = writtenBy(one.tokens);
      return written ? [{ ...one, written }] : [];
    }),
    isIgnoring: tokens.some(({ word }, at) => word === 'RAISE' && tokens[at + 2]?.word === 'IGNORE'),
  };
}

/** Whether of the rows that are inserted into a table not all are in there afterwards as they came. */
export function leavesRowsOut(
  { does, isIgnoring }: Trigger & { readonly does: readonly Deed[] },
  inserted: Deed,
): boolean {
  const { table } = inserted;
  return isIgnoring || does.some((one) => one.table === table && ['delete', 'update'].includes(one.does));
}

/** A trigger's statements begin with their verb: none has a WITH of its own (sqlite.org/lang_createtrigger.html). */
function writtenBy(tokens: readonly Token[]): Pick<Deed, 'does' | 'table'> | undefined {
  const verb = tokens[0]?.word;
  if (verb === 'DELETE') return { does: 'delete', table: nameAt(tokens, 2).name };
  if (verb === 'UPDATE')
    return { does: 'update', table: nameAt(tokens, tokens[1]?.word === 'OR' ? 3 : 1).name };
  if (verb !== 'INSERT' && verb !== 'REPLACE') return undefined;
  return { does: 'insert', table: nameAt(tokens, indexOfOwn(tokens, 'INTO') + 1).name };
}
