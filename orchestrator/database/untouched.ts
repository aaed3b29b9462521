import { messageOf, Refusal } from '../lib/errors.ts';
import type { DatabaseFacts } from './database-facts.ts';
import { compareProperties } from './facts.ts';

/**
 * Does something on a copy of a database, and sees to it that the database itself is as before: what works in the copy may
 * reach it by its name, as the same role.
 *
 * @param putBack makes it as before, where nobody else may have changed it meanwhile; it is only told without
 * @throws Refusal if it was changed, with the work's own error as its cause
 */
export async function leavingUntouched<F extends DatabaseFacts, T>(
  live: { readonly describeProperties: () => Promise<F> },
  work: () => Promise<T>,
  putBack?: (before: F, now: F) => Promise<void>,
): Promise<T> {
  const before = await live.describeProperties();
  const verify = async (cause?: unknown) => {
    const now = await live.describeProperties();
    const changes = compareProperties(before, now);
    if (changes.length === 0) return;
    const what = `what was tried on a copy changed the live database: ${changes.join('; ')}`;
    const byHand = 'put that back by hand, and send these lines to the vendor';
    if (!putBack) throw new Refusal(what, byHand, cause);
    const left = await putBack(before, now).then(
      async () => compareProperties(before, await live.describeProperties()),
      (error: unknown) => [messageOf(error)],
    );
    throw left.length === 0
      ? new Refusal(`${what}. It was put back`, 'send these lines to the vendor', cause)
      : new Refusal(`${what}. It could not be put back: ${left.join('; ')}`, byHand, cause);
  };
  let result: T;
  try {
    result = await work();
  } catch (error) {
    await verify(error);
    throw error;
  }
  await verify();
  return result;
}
