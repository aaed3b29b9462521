import type { ScratchDatabase } from '../../database/scratch.ts';
import { messageOf, Refusal } from '../../lib/errors.ts';
import type { NewMigration } from './split-by-table.ts';

/**
 * Applies what a script was taken apart into, one after another, as an update does.
 *
 * @param scratch with all migrations before them; it has these as well afterwards
 * @throws Refusal where one fails
 */
export async function verifyAppliesInOrder(
  scratch: Pick<ScratchDatabase, 'execute'>,
  parts: readonly NewMigration[],
): Promise<void> {
  for (const { name, sql } of parts)
    await scratch.execute(sql).catch((error: unknown) => {
      throw new Refusal(
        `cannot write one migration a table: ${name} fails after those before it: ${messageOf(error)}`,
        'the same without --per-table writes one migration of all of it',
        error,
      );
    });
}
