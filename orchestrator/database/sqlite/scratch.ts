import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { removeTree } from '../../lib/remove-tree.ts';
import type { Activity, ScratchDatabase, TableLock } from '../scratch.ts';
import type { SqliteClient } from './client.ts';
import { scratchVariable } from './confine.ts';
import { companionsOf } from './places.ts';

/** Makes a file to try things on, filled from a dump or empty; its folder is removed when the work is over. */
export async function withScratchFile<T>(
  { client, scratchFolder }: { readonly client: SqliteClient; readonly scratchFolder: string },
  dump: string | undefined,
  work: (file: string) => Promise<T>,
): Promise<T> {
  removeTree(scratchFolder);
  mkdirSync(scratchFolder, { recursive: true, mode: 0o700 });
  try {
    const file = join(scratchFolder, 'scratch.db');
    if (dump === undefined) await client.ask('create', file);
    else await client.ask('copy', dump, { to: file });
    return await work(file);
  } finally {
    removeTree(scratchFolder);
  }
}

/** A scratch database in a file of its own. */
export function sqliteScratch(
  client: SqliteClient,
  file: string,
  environment: Readonly<Record<string, string>>,
): ScratchDatabase {
  return {
    environment: { ...environment, [scratchVariable]: '1' },
    appliedMigrations: async () => await client.ask('schema-migrations', file),
    dataMigrations: async () => (await client.ask('data-migrations', file)) ?? [],
    inspectSchema: async () => await client.ask('inspect', file),
    execute: async (sql) => {
      await client.ask('execute', file, { sql });
    },
    schemaText: async () => await client.ask('schema-text', file),
    watch: async (work) => await watchFile(client, file, work),
  };
}

const everyMs = 20;

/** Whoever writes locks the whole file: there is nothing smaller to lock. */
const wholeFile = 'the whole database';

/**
 * As `ScratchDatabase.watch`. The kernel tells which locks are held, looked at fifty times a second. Rows are told by
 * comparing with a copy from before, since SQLite counts nothing that outlives a connection: what was written and is as
 * before counts none.
 */
async function watchFile<T>(
  client: SqliteClient,
  file: string,
  work: () => Promise<T>,
): Promise<{ result: T; activity: Activity }> {
  const before = `${file}.before`;
  for (const [index, path] of [file, ...companionsOf(file)].entries())
    if (existsSync(path)) cpSync(path, [before, ...companionsOf(before)][index] ?? '', { mode: 2 });
  const seen = { read: 0, write: 0 };
  let lookedAt = performance.now();
  const timer = setInterval(() => {
    const now = performance.now();
    // On a busy machine the looks come later than they were meant to.
    noteLock(file, seen, Math.max(everyMs, Math.round(now - lookedAt)));
    lookedAt = now;
  }, everyMs);
  try {
    const result = await work();
    clearInterval(timer);
    const rows = await client.ask('changes', file, { to: before });
    return { result, activity: { locks: locksOf(seen), rows } };
  } finally {
    clearInterval(timer);
    for (const path of [before, ...companionsOf(before)]) rmSync(path, { force: true });
  }
}

function locksOf(seen: { read: number; write: number }): TableLock[] {
  const [blocks, ms] =
    seen.read > 0 ? (['read', seen.read + seen.write] as const) : (['write', seen.write] as const);
  return ms === 0 ? [] : [{ table: wholeFile, blocks, ms }];
}

/** From which byte on a lock keeps readers out, and which one writers take: "os.h" of SQLite's sources. */
const reservedByte = 0x4000_0001;
/** In the index of a write-ahead log: "walformat.html". */
const walWriteByte = 120;

function noteLock(file: string, seen: { read: number; write: number }, sinceMs: number): void {
  const [main, index] = [file, `${file}-shm`].map((path) => statSync(path, { throwIfNoEntry: false })?.ino);
  let blocks: 'read' | 'write' | undefined;
  for (const line of readFileSync('/proc/locks', 'utf8').split('\n')) {
    const match = /^\d+: \S+\s+\S+\s+WRITE\s+\d+\s+[0-9a-f]+:[0-9a-f]+:(\d+) (\d+) (\d+)/.exec(line);
    if (!match) continue;
    const [inode, first, last] = [Number(match[1]), Number(match[2]), Number(match[3])];
    if (inode === main && last > reservedByte) blocks = 'read';
    else if (inode === main && first <= reservedByte && last >= reservedByte) blocks ??= 'write';
    else if (inode === index && first <= walWriteByte && last >= walWriteByte) blocks ??= 'write';
  }
  if (blocks) seen[blocks] += sinceMs;
}
