import { isRecord } from './is-record.ts';

/** The variable that names the last migration to apply. */
export const migrateTo = 'HOLDFAST_MIGRATE_TO';

/**
 * The parameters of `applyMigrations`, without what comes after a migration. Parameters of another form are given back
 * as they are: the engine checks them.
 */
export function migrationsUpTo(params: unknown, last: string): unknown {
  if (!isRecord(params) || !isRecord(params['migrationsList'])) return params;
  const { migrationsList } = params;
  const directories = migrationsList['migrationDirectories'];
  if (!Array.isArray(directories)) return params;
  const kept = directories.filter((one: unknown) => {
    const path = isRecord(one) ? one['path'] : undefined;
    return typeof path !== 'string' || nameOf(path) <= last;
  });
  return { ...params, migrationsList: { ...migrationsList, migrationDirectories: kept } };
}

const nameOf = (path: string) => path.split('/').findLast((part) => part !== '') ?? '';
