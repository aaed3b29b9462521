import type { PrismaClient } from '../../generated/client.ts';
import { quote } from '../identifiers.ts';
import type { Session } from '../session.ts';
import { toPostgres } from './changes.ts';
import { modelSource } from './model.ts';
import type { BatchOptions } from './options.ts';
import { countQuickly, lockRows, placeOf, type PgSource } from './source.ts';
import { findTarget } from './target.ts';

/**
 * A model of a PostgreSQL database: in its own schema, and else where Prisma looks for it, whatever the search path is.
 *
 * @param schema of the database's URL
 */
export async function openModel(
  session: Session,
  prisma: PrismaClient,
  options: BatchOptions,
  schema = 'public',
): Promise<PgSource> {
  return await modelSource(prisma, options, {
    find: async (name, own, wanted) => {
      const names = [`${quote.name(own ?? schema)}.${quote.name(name)}`];
      return await findTarget(session.client, { name, names, only: false }, wanted);
    },
    lock: async (target, keys) => await lockRows(session, target, keys),
    count: async (count) => await countQuickly(session, count, undefined),
    toColumn: (target, row, { name, column }, value, own) =>
      toPostgres(row, placeOf(target, column, name), value, own),
  });
}
