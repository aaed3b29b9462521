import { join } from 'node:path';
import type { Command } from '../runtime/runtime.ts';

/** Builders of PostgreSQL's client commands. `bin` is the folder of its programs, `env` how to reach the database. */

export interface ClientTarget {
  readonly bin: string;
  readonly env: Readonly<Record<string, string>>;
}

/** Runs SQL from standard input; any error ends it (psql without ON_ERROR_STOP exits 0 on errors). */
export function psql(
  { bin, env }: ClientTarget,
  sql: string,
  options: { timeoutMs?: number; single?: boolean } = {},
): Command {
  return {
    file: join(bin, 'psql'),
    args: [
      '-X',
      '-q',
      '-A',
      '-t',
      '-v',
      'ON_ERROR_STOP=1',
      ...(options.single ? ['--single-transaction'] : []),
      '-f',
      '-',
    ],
    // Limits that the database sets for its clients are not meant for a dump or a count. Notices ("does not exist, skipping") would stand before the error that matters.
    input: `set client_min_messages = warning; set statement_timeout = 0; set lock_timeout = 0; ${sql}`,
    addEnv: env,
    timeoutMs: options.timeoutMs ?? 60_000,
    label: 'psql',
  };
}

/** Custom format: compressed, restorable in parts and in parallel. No time limit: a big database takes long. */
export function pgDump(
  { bin, env }: ClientTarget,
  file: string,
  options: { schemaOnly?: boolean; lockWaitMs?: number } = {},
): Command {
  return {
    file: join(bin, 'pg_dump'),
    args: [
      '--format=custom',
      '--compress=1',
      ...(options.schemaOnly ? ['--schema-only'] : []),
      `--lock-wait-timeout=${options.lockWaitMs ?? 30_000}`,
      `--file=${file}`,
    ],
    addEnv: env,
    label: 'pg_dump',
  };
}

/** The schema on standard output, Prisma's and our own books left out. */
export function pgSchemaText({ bin, env }: ClientTarget): Command {
  return {
    file: join(bin, 'pg_dump'),
    args: [
      ...['--schema-only', '--no-owner', '--no-privileges', '--no-comments'],
      ...['--exclude-table=_prisma_migrations', '--exclude-schema=holdfast'],
    ],
    addEnv: env,
    label: 'pg_dump',
  };
}

/** Into an empty database; stops at the first error instead of going on with half of it. */
export function pgRestore(
  { bin, env }: ClientTarget,
  file: string,
  options: { jobs?: number } = {},
): Command {
  return {
    file: join(bin, 'pg_restore'),
    args: [
      '--exit-on-error',
      '--no-password',
      `--dbname=${env['PGDATABASE'] ?? ''}`,
      `--jobs=${options.jobs ?? 2}`,
      file,
    ],
    addEnv: env,
    label: 'pg_restore',
  };
}

/** "pg_dump (PostgreSQL) 15.18 (Debian ...)" -> 15. */
export function parseMajorVersion(text: string): number {
  const match = /\(PostgreSQL\) (\d+)/.exec(text);
  if (!match) throw new Error(`cannot read a PostgreSQL version from "${text.trim()}"`);
  return Number(match[1]);
}
