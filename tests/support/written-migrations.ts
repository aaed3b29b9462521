import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Ledger } from './ledger.ts';

/** Where the ledger's schema migrations lie, below its checkout. */
export const migrationsFolder = 'api/prisma/migrations';

/** A migration that lies in the checkout and is not committed, as a developer writes it. */
export function writeMigration({ directory }: Ledger, name: string, sql: string, down?: string): void {
  const folder = join(directory, migrationsFolder, name);
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'migration.sql'), sql);
  if (down !== undefined) writeFileSync(join(folder, 'down.sql'), down);
}

/** Takes away what `writeMigration` wrote, and all that is not committed beside it. */
export function removeWrittenMigrations({ directory }: Ledger): void {
  execFileSync('git', ['clean', '-fdq', '--', migrationsFolder], { cwd: directory });
}

/** @returns `name: state` of each migration, as `migrate status` tells them */
export async function migrationStates(ledger: Ledger): Promise<string[]> {
  const { result } = await ledger.run('migrate', 'status');
  const migrations = (result?.['migrations'] ?? []) as { name: string; state: string }[];
  return migrations.map(({ name, state }) => `${name}: ${state}`);
}
