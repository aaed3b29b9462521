import { Refusal } from '../lib/errors.ts';
import type { Finding } from './lint/finding.ts';
import type { Linted } from './lint/lint.ts';

/**
 * A copy of a database shares its server and its disk with the live one: what a migration changes there, it changes for
 * both.
 *
 * @param doing as in "cannot ...": "rehearse v3"
 * @param options.unread what to do about statements that nobody could look into, and nobody has accepted
 * @throws Refusal that names the first statement
 */
export function verifyStaysInside(
  linted: readonly Linted[],
  doing: string,
  options: { readonly unread: 'refuse' | 'allow' },
): void {
  const findings = linted.flatMap((one) => one.findings);
  const [outside] = findings.filter(({ rule }) => rule === 'server-wide' || rule === 'outside-database');
  if (outside)
    throw new Refusal(
      `cannot ${doing}: ${describe(outside)}, which the live database would feel as well`,
      'take the statement out of the migration (what it does is done once by hand), or go on without trying it on a copy',
    );
  const [unread] = findings.filter(
    ({ rule, accepted }) => rule === 'dynamic-sql' && accepted === undefined && options.unread === 'refuse',
  );
  if (unread)
    throw new Refusal(
      `cannot ${doing}: ${describe(unread)}, and nobody can tell whether the live database would feel it`,
      `./run.sh migrate show ${unread.migration} shows it; where it stays inside its own database the vendor says so in the file: -- holdfast:accept dynamic-sql: WHY`,
    );
}

const describe = ({ migration, line, message }: Finding) => `${migration}, line ${line}, ${message}`;
