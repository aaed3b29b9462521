import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { Config } from '../config/schema.ts';
import { registryPath } from '../snapshot/registry.ts';

const fileName = /^\d{3,}_[A-Za-z0-9_]+\.ts$/;

/** Ids of the data migrations that the registry does not have as done, among these file names. */
export function pendingDataMigrations(directory: string, config: Config, names: readonly string[]): string[] {
  const path = registryPath(config);
  if (path === undefined) return [];
  const done = new Set(
    readRegistry(join(directory, path))
      .filter(({ status }) => status !== 'failed')
      .map(({ id }) => id),
  );
  return names
    .map((name) => basename(name))
    .filter((name) => fileName.test(name))
    .map((name) => name.replace(/\.ts$/, ''))
    .filter((id) => !done.has(id))
    .toSorted();
}

/** The same for what lies in the checkout now. */
export function pendingDataMigrationsInCheckout(directory: string, config: Config): string[] {
  const dir = config.prisma?.dataMigrations?.dir;
  if (dir === undefined || !existsSync(join(directory, dir))) return [];
  return pendingDataMigrations(directory, config, readdirSync(join(directory, dir)));
}

/** An unreadable registry is the data-migration engine's to refuse; here it only means that nothing is known as done. */
function readRegistry(path: string): { id: string; status: string }[] {
  try {
    const raw: unknown = JSON.parse(readFileSync(path, 'utf8'));
    const list = typeof raw === 'object' && raw !== null && 'migrations' in raw ? raw.migrations : [];
    return Array.isArray(list) ? (list as { id: string; status: string }[]) : [];
  } catch {
    return [];
  }
}
