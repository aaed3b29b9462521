import { execa } from 'execa';
import { join } from 'node:path';
import { findPostgresBinaries } from '../../orchestrator/database/binaries.ts';
import { databaseDump } from '../../orchestrator/snapshot/manifest.ts';
import type { Ledger } from './ledger.ts';
import type { Engine } from './releases.ts';
import { sqliteRows } from './sqlite-state.ts';
import type { State } from './state.ts';
import { writtenBy } from './writer.ts';

/** What a sweep does in its own way on each kind of database. */
export interface SweepEngine {
  /** What the background client added goes again, so that the next case begins where this one did. */
  removeWrites(ledger: Ledger, state: State): Promise<void>;
  /** The entries of a snapshot, as text. */
  entriesIn(snapshot: string): Promise<string>;
  /** Without what the client's writes leave behind when they are gone. */
  comparable(state: State): State;
}

export const sweepEngines: Readonly<Record<Engine, SweepEngine>> = {
  postgresql: {
    /** A server that was killed goes on with sequences up to 32 values later (it logs them ahead), which is no loss. */
    async removeWrites(ledger, state) {
      await ledger.sql(`delete from entries where note like '%${writtenBy}%'`);
      for (const name of ['entries_id_seq', 'receipt_numbers']) {
        const { last, called } = state.get(`sequence ${name}`) ?? {};
        const [is] = await ledger.sql(`select last_value::int8::int4 as last from ${name}`);
        const ahead = Number(is?.['last']) - Number(last);
        if (name === 'entries_id_seq' || (ahead > 0 && ahead <= 32 * 7))
          await ledger.sql(`select setval('${name}', ${last}, ${called})`);
      }
    },
    async entriesIn(snapshot) {
      const program = join(findPostgresBinaries(['pg_restore']) ?? '', 'pg_restore');
      const dump = join(snapshot, databaseDump);
      return (await execa(program, ['--data-only', '--table=entries', '--file=-', dump])).stdout;
    },
    comparable: (state) => state,
  },
  sqlite: {
    async removeWrites(ledger, state) {
      await ledger.sql(`delete from entries where note like '%${writtenBy}%'`);
      const numbers = [...state].find(
        ([name, { values = '' }]) => name.startsWith('row sqlite_sequence') && values.includes('"entries"'),
      );
      const { seq } = JSON.parse(numbers?.[1]['values'] ?? '{}') as { seq?: number };
      await ledger.sql(`update sqlite_sequence set seq = ${seq ?? 0} where name = 'entries'`);
    },
    entriesIn: async (snapshot) =>
      await Promise.resolve(
        JSON.stringify(sqliteRows(join(snapshot, databaseDump), 'select note from entries')),
      ),
    // Pages that rows have left stay in the file, and those that come take them. The schema is in the state by itself.
    comparable: (state) =>
      new Map(
        [...state]
          .filter(([name]) => !name.startsWith('row sqlite_schema'))
          .map(([name, properties]) => [name, withoutPages(properties)]),
      ),
  },
};

/** Without the times of a migration as well, which Prisma writes as numbers. */
function withoutPages(properties: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(properties)
      .filter(([key]) => !['page', 'page_count', 'freelist_count'].includes(key))
      .map(([key, value]) => [key, value.replaceAll(/"finished_at":\d+/g, '"finished_at":TIME')]),
  );
}
