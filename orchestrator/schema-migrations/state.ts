import type { AppliedMigration, SchemaInspection } from '../database/engine.ts';
import { isUnchanged, type MigrationFile } from './migration-file.ts';

/** What one schema migration is, on one database and in one tree. */
export type SchemaMigrationState =
  | 'applied'
  | 'pending'
  /** It began and did not end: everything behind it waits (P3009). */
  | 'failed'
  /** Taken back by `migrate resolve --rolled-back` or `migrate down`; the next deploy applies it. */
  | 'rolled back'
  /** Applied, and its file says something else now. */
  | 'edited'
  /** Applied, and its file is gone. */
  | 'missing';

export interface SchemaMigration {
  readonly name: string;
  readonly state: SchemaMigrationState;
  /** When it began, where it did; ISO 8601. */
  readonly appliedAt?: string;
  /** What the database said when it failed, in one line. */
  readonly error?: string;
}

/** Something that is not as it should be, and the exact command that is safe. */
export interface SchemaProblem {
  /** Prisma's own, where it has one. */
  readonly code?: string;
  readonly message: string;
  readonly next: string;
}

/**
 * What the migrations of a tree are on a database, in their order.
 *
 * @param applied rows of `_prisma_migrations`, oldest first
 */
export function schemaStates(
  files: readonly MigrationFile[],
  applied: readonly AppliedMigration[],
): SchemaMigration[] {
  const byName = new Map(files.map((file) => [file.name, file]));
  const names = [...new Set([...byName.keys(), ...applied.map(({ name }) => name)])].toSorted();
  return names.flatMap((name): SchemaMigration[] => {
    const rows = applied.filter((row) => row.name === name);
    const open = rows.findLast((row) => !row.finished && !row.rolledBack);
    const done = rows.findLast((row) => row.finished && !row.rolledBack);
    const file = byName.get(name);
    if (open) {
      const error = wordsOf(open.log ?? '');
      return [
        { name, state: 'failed', appliedAt: open.startedAt, ...(error === undefined ? {} : { error }) },
      ];
    }
    if (done) {
      const state = !file ? 'missing' : isUnchanged(file.sql, done.checksum) ? 'applied' : 'edited';
      return [{ name, state, appliedAt: done.startedAt }];
    }
    // Taken back, and not in this version: nothing is left of it.
    if (!file) return [];
    return [{ name, state: rows.length > 0 ? 'rolled back' : 'pending' }];
  });
}

/** The database's own words in a log, which begins with Prisma's. */
function wordsOf(log: string): string | undefined {
  const lines = log
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && line !== 'external connector error');
  const [said = lines.join(' ')] = lines.flatMap(
    (line) => /\b(?:ERROR|FATAL|PANIC):.*/.exec(line)?.[0] ?? [],
  );
  if (said === '') return undefined;
  return said.length > 300 ? `${said.slice(0, 300)} ...` : said;
}

/** Whether the next deploy applies it. */
export function isPending({ state }: SchemaMigration): boolean {
  return state === 'pending' || state === 'rolled back';
}

/**
 * What is wrong, each with one plain sentence and the command that is safe.
 *
 * @param incomplete folders without their file
 */
export function schemaProblems(
  migrations: readonly SchemaMigration[],
  { hasMigrationsTable, tables, lockHolders }: SchemaInspection,
  incomplete: readonly string[] = [],
): SchemaProblem[] {
  const named = (state: SchemaMigrationState) => migrations.filter((one) => one.state === state);
  const list = (some: readonly SchemaMigration[]) => some.map(({ name }) => name).join(', ');
  const problems: SchemaProblem[] = incomplete.map((name) => ({
    ...{ code: 'P3015', message: `${name} has a folder, but no migration.sql` },
    next: 'bring the file back (git log -- its folder shows where it went), or delete its folder',
  }));
  for (const { name, error } of named('failed'))
    problems.push({
      code: 'P3009',
      message: `${name} failed and blocks all others${error === undefined ? '' : `: ${error}`}`,
      next: `see what is left of it (./run.sh migrate show ${name}); where nothing is, or it was taken back by hand: ./run.sh migrate resolve --rolled-back ${name}, then ./run.sh migrate deploy; where all of it is in the database: ./run.sh migrate resolve --applied ${name}`,
    });
  if (!hasMigrationsTable && tables.length > 0 && migrations.length > 0)
    problems.push({
      code: 'P3005',
      message: `the database has ${tables.length} tables, and no record of any migration`,
      next: `if they are those of the first migrations, say so for each of these: ./run.sh migrate resolve --applied ${migrations[0]?.name ?? 'NAME'}`,
    });
  if (named('edited').length > 0)
    problems.push({
      message: `${list(named('edited'))}: changed after being applied; this database does not have the change`,
      next: `bring the file back (git log -p shows what changed), and put the change into a new migration`,
    });
  if (named('missing').length > 0)
    problems.push({
      message: `${list(named('missing'))}: applied here, and not in this version's files`,
      next: `if an older version was checked out by hand: ./run.sh update brings the newer one back; ./run.sh rollback brings back version and database together`,
    });
  for (const holder of lockHolders)
    problems.push({
      code: 'P1002',
      message: `another migration is at work, or was left behind: ${holder}`,
      next: `wait for it; if it was left behind: ./run.sh migrate deploy ends its session and goes on, where the database is not shared; else, as its administrator: SELECT pg_terminate_backend(${/process (\d+)/.exec(holder)?.[1] ?? 'PROCESS'});`,
    });
  return problems;
}

const explanations: Readonly<Record<string, readonly [meaning: string, next: string]>> = {
  P1000: ['the database refuses the user or the password', 'mend DATABASE_URL in the env file'],
  P1001: ['the database does not answer', './run.sh start, or start the server that DATABASE_URL names'],
  P1002: ['another migration holds the lock of the database', './run.sh migrate status tells who'],
  P1003: ['there is no such database', './run.sh doctor'],
  P1008: [
    'the database did not answer in time: a file of SQLite is in use, by the services for one, and Prisma wants it for itself',
    './run.sh stop, then the same again, then ./run.sh start',
  ],
  P1010: [
    'the database user may not do this',
    'grant it what the database says, or name the owner in DATABASE_URL',
  ],
  P1012: ['schema.prisma is not valid', 'npx prisma validate, in the backend, says where'],
  P3005: [
    'the database is not empty, and has no record of any migration',
    './run.sh migrate status says which to call applied',
  ],
  P3006: [
    'a migration does not apply to an empty database',
    './run.sh migrate generate check --dry-run applies all of them to a scratch database, and shows where it stops',
  ],
  P3008: ['this migration is recorded as applied already', './run.sh migrate status'],
  P3009: ['an earlier migration failed and blocks all others', './run.sh migrate status says how to go on'],
  P3011: ['this migration was never applied, so it cannot be called rolled back', './run.sh migrate status'],
  P3012: ['this migration did not fail, so it cannot be called rolled back', './run.sh migrate status'],
  P3014: [
    'Prisma may not make the database in which it tries migrations',
    'ALTER ROLE ... CREATEDB, or set SHADOW_DATABASE_URL',
  ],
  P3015: [
    'a migration has a folder but no migration.sql',
    'bring the file back, or delete its folder before it is released',
  ],
  P3017: ['there is no such migration', './run.sh migrate status lists them'],
  P3018: ['a migration failed to apply', './run.sh migrate status shows what the database said'],
  P3019: [
    'migration_lock.toml names another kind of database than schema.prisma',
    'bring migration_lock.toml back',
  ],
};

/** What a code of Prisma's means, in one sentence, and what to type. Undefined where nothing can be added to its words. */
export function explainPrismaCode(
  code: string,
): { readonly meaning: string; readonly next: string } | undefined {
  const found = explanations[code];
  return found && { meaning: found[0], next: found[1] };
}
