import type { PostgresFacts } from '../../../orchestrator/database/database-facts.ts';

/** A database as a manifest describes it, with what a test cares about. */
export function factsWith(more: Partial<PostgresFacts> = {}): PostgresFacts {
  return {
    ...{
      engine: 'postgresql',
      serverVersion: '17.2',
      systemIdentifier: '7',
      name: 'shop',
      oid: 16_385,
      owner: 'app',
    },
    ...{ encoding: 'UTF8', collate: 'C.UTF-8', ctype: 'C.UTF-8', localeProvider: 'libc', locale: null },
    ...{ tablespace: 'pg_default', connectionLimit: -1, comment: null, grants: null, settings: [] },
    ...{ tables: [], sequences: [] },
    ...more,
  };
}
