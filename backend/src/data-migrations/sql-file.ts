import type { Session } from './session.ts';
import { statementsOf } from './transaction-words.ts';

/** The first words of statements that are a transaction of their own, or that PostgreSQL refuses inside of one. */
const OWN_TRANSACTION =
  /^(?:BEGIN|START\s+TRANSACTION|COMMIT|END|ROLLBACK(?!\s+(?:WORK\s+|TRANSACTION\s+)?TO\b)|ABORT|PREPARE\s+TRANSACTION)\b/i;
const OUTSIDE_ONLY =
  /^(?:(?:CREATE|DROP|REINDEX)\b.*\bCONCURRENTLY\b|VACUUM\b|(?:CREATE|DROP)\s+(?:DATABASE|TABLESPACE)\b|ALTER\s+SYSTEM\b)/is;

/** What is wrong with a file of SQL, as far as its text tells; undefined where nothing is. */
export function findSqlProblem(text: string): string | undefined {
  const statements = statementsOf(withoutMark(text));
  if (statements.every((one) => one === '')) return 'it holds no statement';
  if (statements.some((one) => OWN_TRANSACTION.test(one)))
    return 'it opens or ends a transaction of its own: take that out, the whole file is one';
  if (statements.some((one) => OUTSIDE_ONLY.test(one)))
    return 'it holds what PostgreSQL does not do in a transaction (CONCURRENTLY, VACUUM): write it as code, statement by statement';
  return undefined;
}

/** Some editors begin a file with a mark of its encoding, which PostgreSQL takes for a word. */
function withoutMark(text: string): string {
  return text.replace(/^\uFEFF/, '');
}

/**
 * Runs the statements of a file, all or nothing.
 *
 * @returns the rows that its last statements changed, in all
 * @throws Error with the statement that failed, or for one that cannot be in a transaction
 */
export async function runSql(session: Session, text: string): Promise<number> {
  const problem = findSqlProblem(text);
  if (problem !== undefined) throw new Error(problem);
  return await session.transaction(async () => {
    const result = await session.client.query(withoutMark(text));
    const results = Array.isArray(result) ? (result as (typeof result)[]) : [result];
    return results
      .filter(({ command }) => /^(?:INSERT|UPDATE|DELETE|MERGE)$/.test(command))
      .reduce((sum, { rowCount }) => sum + (rowCount ?? 0), 0);
  });
}
