import { join } from 'node:path';
import type { Appliance } from '../appliance/appliance.ts';
import { formatDuration, plural } from '../lib/units.ts';
import type { Manifest } from '../snapshot/manifest.ts';
import { readInventory } from '../snapshot/files.ts';
import { scan } from '../snapshot/inventory.ts';
import { rootsToRestore } from '../snapshot/roots.ts';
import { listIndex } from '../tools/git.ts';

/** What a rollback sets aside: what came after the snapshot. */
export interface SetAside {
  readonly hours: number;
  /** By how many rows tables grew or shrank; changed rows cannot be counted. */
  readonly tables: readonly { readonly name: string; readonly rows: number }[];
  /** Files that git does not track and that are not as they were. */
  readonly files: number;
}

export async function measureSetAside(
  appliance: Appliance,
  manifest: Manifest,
  folder: string,
  options: { withoutDatabase?: boolean } = {},
): Promise<SetAside> {
  const before = new Map(manifest.database?.tables.map(({ name, rows }) => [name, rows]));
  const live = options.withoutDatabase === true ? undefined : await appliance.database?.describe();
  const now = new Map(live?.tables.map(({ name, rows }) => [name, rows]));
  const names = live ? [...new Set([...now.keys(), ...before.keys()])] : [];
  const tables = names
    .map((name) => ({ name, rows: (now.get(name) ?? 0) - (before.get(name) ?? 0) }))
    .filter(({ rows }) => rows !== 0);
  const { stdout } = await appliance.runtime.run({
    ...listIndex(appliance.directory, '', ':/'),
    addEnv: { GIT_OPTIONAL_LOCKS: '0' },
  });
  const tracked = new Set(stdout.split('\0'));
  let files = 0;
  for (const root of rootsToRestore(appliance, manifest.roots)) {
    const known = new Map(readInventory(join(folder, root.inventory)).map((entry) => [entry.path, entry]));
    const isTracked = (path: string) => root.path === appliance.directory && tracked.has(path);
    for (const entry of scan(root)) {
      if (entry.type !== 'file' || isTracked(entry.path)) continue;
      const old = known.get(entry.path);
      if (!old || old.mtimeNs !== entry.mtimeNs || old.size !== entry.size) files += 1;
    }
  }
  return { hours: (Date.now() - Date.parse(manifest.createdAt)) / 3_600_000, tables, files };
}

export function describeSetAside({ hours, tables, files }: SetAside): string {
  const rows = tables.slice(0, 6).map(({ name, rows: count }) => `${name} ${count > 0 ? '+' : ''}${count}`);
  const more = tables.length > 6 ? `, ${tables.length - 6} tables more` : '';
  const rowText =
    rows.length === 0
      ? 'no table has more or fewer rows (changed ones cannot be counted)'
      : `rows: ${rows.join(', ')}${more}`;
  return `the data of the last ${formatDuration(hours * 3_600_000)}: ${rowText}; ${plural(files, 'file')}`;
}
