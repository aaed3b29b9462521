import type { Client } from 'pg';
import { describeError, EXIT, Refusal } from './refusal.ts';

/** A schema of its own: `prisma migrate` looks at the application's, and never proposes to drop this one. */
const DEFINITIONS = `
CREATE SCHEMA IF NOT EXISTS holdfast;
CREATE TABLE IF NOT EXISTS holdfast.data_migrations (
  id text PRIMARY KEY,
  state text NOT NULL CHECK (state IN ('PENDING', 'RUNNING', 'COMPLETED', 'NOT_NEEDED', 'FAILED', 'SKIPPED')),
  checksum text,
  started_at timestamptz,
  finished_at timestamptz,
  duration_ms bigint,
  rows bigint,
  attempts integer NOT NULL DEFAULT 0,
  reason text,
  result jsonb,
  lease_until timestamptz,
  exported_at timestamptz
);
CREATE TABLE IF NOT EXISTS holdfast.data_migration_batches (
  migration text NOT NULL,
  batch text NOT NULL,
  cursor jsonb,
  done bigint NOT NULL DEFAULT 0,
  failed bigint NOT NULL DEFAULT 0,
  finished boolean NOT NULL DEFAULT false,
  PRIMARY KEY (migration, batch)
);
ALTER TABLE holdfast.data_migration_batches ADD COLUMN IF NOT EXISTS plan jsonb;
CREATE TABLE IF NOT EXISTS holdfast.data_migration_failures (
  migration text NOT NULL,
  batch text NOT NULL,
  key jsonb NOT NULL,
  reason text NOT NULL,
  PRIMARY KEY (migration, batch, key)
);`;

const ADVICE = 'As the owner of the database: GRANT CREATE ON DATABASE <name> TO <user>';

/**
 * Makes the tables where they are missing. May be run twice. Only under the advisory lock.
 *
 * @throws Refusal (exit 2) where this user may not.
 */
export async function createTables(client: Client): Promise<void> {
  const { rows } = await client.query<{ there: boolean }>(
    `SELECT to_regclass('holdfast.data_migration_failures') IS NOT NULL AND EXISTS (SELECT FROM pg_attribute
       WHERE attrelid = to_regclass('holdfast.data_migration_batches') AND attname = 'plan') AS there`,
  );
  if (rows[0]?.there === true) return;
  try {
    await client.query(DEFINITIONS);
  } catch (error) {
    const isReadOnly = error instanceof Error && 'code' in error && error.code === '25006';
    throw new Refusal(
      EXIT.refused,
      `cannot make the tables of the data migrations: ${describeError(error)}. Nothing was run. ${isReadOnly ? 'This server is a standby, or this user may only read (default_transaction_read_only): use the address of the primary, and of a user who writes' : ADVICE}`,
      { cause: error },
    );
  }
}
