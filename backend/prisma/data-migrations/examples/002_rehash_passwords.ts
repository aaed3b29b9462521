import { createHash, randomBytes } from 'node:crypto';
import type { DataMigration } from '../../../src/data-migrations/migration.ts';

/** For the example: what the application itself uses belongs here, written out, so that it never changes. */
function rehash(old: string): string {
  const salt = randomBytes(16).toString('hex');
  return `v2$${salt}$${createHash('sha256')
    .update(salt + old)
    .digest('hex')}`;
}

/**
 * Password hashes of two tables. Older appliances have no table `operators`, or one without the column: each is looked
 * for first. A hash that has an unknown form is left alone, counted and told, and its owner signs in by a reset.
 *
 * A hash cannot be computed twice: `batch` remembers in the same transaction how far it came.
 */
export const migration: DataMigration = {
  id: '002_rehash_passwords',
  description: 'Password hashes of users and operators have the second form.',

  async up(prisma, { batch, log }) {
    let recordsProcessed = 0;
    for (const table of ['users', 'operators']) {
      const columns = await prisma.$queryRaw<unknown[]>`
        SELECT 1 FROM information_schema.columns
        WHERE table_schema = current_schema() AND table_name = ${table} AND column_name = 'password_hash'`;
      if (columns.length === 0) {
        log(`${table} has no password_hash here: nothing to do`);
        continue;
      }
      const { done, failed } = await batch({
        table,
        where: `password_hash NOT LIKE 'v2$%'`,
        select: ['password_hash'],
        maxFailures: 1000,
        up: ({ password_hash: old }: { password_hash?: string }) => {
          if (!/^[0-9a-f]{32,64}$/.test(old ?? '')) throw new Error('an unknown form of hash');
          return { password_hash: rehash(old ?? '') };
        },
      });
      log(`${table}: ${done} hashed anew, ${failed} left alone`);
      recordsProcessed += done;
    }
    return { success: true, recordsProcessed };
  },
};

export default migration;
