import { copyFileSync, existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { mkdirSync } from 'node:fs';
import type { Config } from '../config/schema.ts';
import { messageOf } from '../lib/errors.ts';
import { removeDurably, writeFileAtomic } from '../lib/atomic-file.ts';
import type { Manifest } from './manifest.ts';

/** The operator's list of the data migrations that were applied, beside the migrations themselves. */
export function registryPath(config: Config): string | undefined {
  const dir = config.prisma?.dataMigrations?.dir;
  return dir === undefined ? undefined : join(dir, 'registry.json');
}

/** Why the registry cannot be read, or undefined: it is fine, or absent, or there is none. */
export function registryProblem(directory: string, config: Config): string | undefined {
  const path = registryPath(config);
  if (path === undefined || !existsSync(join(directory, path))) return undefined;
  let text: string;
  try {
    text = readFileSync(join(directory, path), 'utf8');
  } catch (error) {
    return `cannot be read (${messageOf(error)})`;
  }
  if (text.trim() === '') return 'is empty';
  try {
    const document: unknown = JSON.parse(text);
    const list = typeof document === 'object' && document !== null && 'migrations' in document;
    return list && Array.isArray(document.migrations) ? undefined : 'has no list "migrations"';
  } catch {
    return 'is not whole: it is no JSON';
  }
}

/** Copies the registry into a snapshot; its absence is a fact worth keeping, too. */
export function backupRegistry(directory: string, config: Config, folder: string): Manifest['registry'] {
  const path = registryPath(config);
  if (path === undefined) return undefined;
  const present = existsSync(join(directory, path));
  if (present) copyFileSync(join(directory, path), join(folder, 'registry.json'));
  return { path, present };
}

/**
 * Puts the registry of a snapshot back. The files of the snapshot hold it as well, with its mode and times, and come
 * first: so this writes only where they do not (a registry that git tracks, a folder that is excluded). May be run twice.
 */
export function restoreRegistry(directory: string, manifest: Manifest, folder: string): void {
  if (!manifest.registry) return;
  const path = join(directory, manifest.registry.path);
  if (!manifest.registry.present) {
    if (existsSync(path)) removeDurably(path);
    return;
  }
  const wanted = readFileSync(join(folder, 'registry.json'));
  if (existsSync(path) && readFileSync(path).equals(wanted)) return;
  mkdirSync(dirname(path), { recursive: true });
  writeFileAtomic(path, wanted, 0o644);
}

/** What is not as the snapshot has it. */
export function compareRegistry(directory: string, manifest: Manifest, folder: string): string[] {
  if (!manifest.registry) return [];
  const path = join(directory, manifest.registry.path);
  if (!manifest.registry.present) return existsSync(path) ? ['registry.json was not there before'] : [];
  if (!existsSync(path)) return ['registry.json is missing'];
  return readFileSync(path).equals(readFileSync(join(folder, 'registry.json')))
    ? []
    : ['registry.json differs'];
}
