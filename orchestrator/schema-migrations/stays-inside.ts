import { Refusal } from '../lib/errors.ts';
import type { Linted } from './lint/lint.ts';

/**
 * A copy of a database shares the server with the live one: what a migration changes there, it changes for both.
 *
 * @param doing as in "cannot ...": "rehearse v3"
 * @throws Refusal that names the first statement
 */
export function verifyStaysInside(linted: readonly Linted[], doing: string): void {
  const [first] = linted.flatMap(({ findings }) => findings.filter(({ rule }) => rule === 'server-wide'));
  if (!first) return;
  throw new Refusal(
    `cannot ${doing}: ${first.migration}, line ${first.line}, ${first.message}, which the live database would feel as well`,
    'take the statement out of the migration (what it does is done once by hand), or go on without trying it on a copy',
  );
}
