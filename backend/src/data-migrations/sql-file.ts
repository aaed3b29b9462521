import type { Session } from './session.ts';

/** Words that PostgreSQL refuses inside a transaction, or that are one themselves. */
const OWN_TRANSACTION = /^\s*(?:BEGIN|START\s+TRANSACTION|COMMIT|ROLLBACK)\b/im;
const OUTSIDE_ONLY = /\b(?:CONCURRENTLY|VACUUM|CREATE\s+DATABASE|ALTER\s+SYSTEM)\b/i;

/**
 * Runs the statements of a file, all or nothing.
 *
 * @returns the rows that its last statements changed, in all
 * @throws Error with the statement that failed, or for one that cannot be in a transaction
 */
export async function runSql(session: Session, text: string): Promise<number> {
  const bare = text
    .replaceAll(/--.*$|\/\*[\s\S]*?\*\//gm, '')
    .replaceAll(/'(?:[^']|'')*'|\$(\w*)\$[\s\S]*?\$\1\$/g, "''");
  if (OWN_TRANSACTION.test(bare))
    throw new Error('it opens or ends a transaction of its own: take that out, the whole file is one');
  if (OUTSIDE_ONLY.test(bare))
    throw new Error(
      'it holds what PostgreSQL does not do in a transaction (CONCURRENTLY, VACUUM): write it as code, statement by statement',
    );
  return await session.transaction(async () => {
    const result = await session.client.query(text);
    const results = Array.isArray(result) ? (result as (typeof result)[]) : [result];
    return results
      .filter(({ command }) => /^(?:INSERT|UPDATE|DELETE|MERGE)$/.test(command))
      .reduce((sum, { rowCount }) => sum + (rowCount ?? 0), 0);
  });
}
