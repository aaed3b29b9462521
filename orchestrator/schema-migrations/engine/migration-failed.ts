import { KnownError } from './errors.ts';
import type { ScriptError } from './script.ts';

/**
 * The error of a migration whose script failed, P3018, with the native engine's words. The WebAssembly engine reports
 * it as "external connector error", without a code and without PostgreSQL's.
 *
 * Source: `ApplyMigrationError` in prisma-engines' user-facing-errors.
 */
export function migrationFailed(
  migrationName: string | undefined,
  { failure }: ScriptError,
  cause: unknown,
): KnownError {
  const name = migrationName ?? '(unknown)';
  const message = [
    'A migration failed to apply. New migrations cannot be applied before the error is recovered from. Read more about how to resolve migration issues in a production database: https://pris.ly/d/migrate-resolve',
    `Migration name: ${name}`,
    `Database error code: ${failure.code}`,
    `Database error:\n${failure.text}`,
  ].join('\n\n');
  const meta = { migration_name: name, database_error_code: failure.code, database_error: failure.text };
  return new KnownError('P3018', message, { meta, cause });
}
