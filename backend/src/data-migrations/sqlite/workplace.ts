import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { trackInteractive } from '../interactive.ts';
import { makeClient } from '../prisma-client.ts';
import { watchClient } from '../watched-client.ts';
import type { Workplace } from '../workplace.ts';
import { adapterFor } from './adapter.ts';
import { SqliteBatches } from './batch.ts';
import { sqliteColumns } from './columns.ts';
import { SqliteSession } from './session.ts';
import { findSqliteProblem } from './statements.ts';
import { realFile } from './users.ts';

const OTHER_LIBRARY = /better_sqlite3\.node|node_sqlite3\.node|\/@libsql\/[^/]+\/index\.node/;

/** Runs migrations on a SQLite file; a dry run is the same on a copy. */
export const sqliteWorkplace: Workplace = {
  async runSql({ url }, text) {
    const problem = findSqliteProblem(text);
    if (problem !== undefined) throw new Error(problem);
    const session = await SqliteSession.open(fileOf(url));
    const { database } = session;
    const changed = (): number => Number(database.prepare('SELECT total_changes() AS n').get()?.['n']);
    try {
      const before = changed();
      await session.transaction(
        async () => await Promise.resolve(database.exec(text.replace(/^\uFEFF/, ''))),
      );
      return { status: 'success', rows: changed() - before };
    } finally {
      session.end();
    }
  },

  async runCode({ url }, directory, _fail, run) {
    const file = fileOf(url);
    const sessions: SqliteSession[] = [];
    const open = async (beside?: () => SqliteSession | undefined): Promise<SqliteSession> => {
      const session = await SqliteSession.open(file, beside);
      sessions.push(session);
      refuseOtherLibrary(file, sessions);
      return session;
    };
    let own: SqliteSession | undefined;
    try {
      const done = await run({
        client: await makeClient(
          directory,
          adapterFor(async () => (own = await open()), true),
        ),
        async openBatches() {
          const session = await open(() => own);
          const adapter = adapterFor(async () => await Promise.resolve(session), false);
          const watch = watchClient(trackInteractive(await makeClient(directory, adapter)));
          return new SqliteBatches(session, watch);
        },
        columnSteps: (tools) => sqliteColumns(async () => await open(() => own), tools),
      });
      refuseOtherLibrary(file, sessions);
      return done;
    } finally {
      for (const session of sessions) session.end();
    }
  },
};

function fileOf(url: string): string {
  return realFile(url.slice('file:'.length));
}

/**
 * Two libraries that have one file open in one process undo each other's locks on it, by which others may write at the
 * same time and break it.
 *
 * @throws Error when the migration has the file open by a client of its own beside ours
 */
function refuseOtherLibrary(file: string, sessions: readonly SqliteSession[]): void {
  if (sessions.length === 0) return;
  try {
    if (!OTHER_LIBRARY.test(readFileSync('/proc/self/maps', 'utf8'))) return;
    const fds = readdirSync('/proc/self/fd').filter((fd) => linkOf(fd) === file);
    if (fds.length <= sessions.filter(({ database }) => database.isOpen).length) return;
  } catch {
    return;
  }
  throw new Error(
    'it has a client of its own on the same file beside the one that it is given: two SQLite libraries in one process undo each other\'s locks. Use the "prisma" that it is given, or make it a script',
  );
}

function linkOf(fd: string): string | undefined {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`);
  } catch {
    return undefined;
  }
}
