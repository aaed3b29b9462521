import type { Engine } from './releases.ts';

/**
 * What the appliances of the suites have for a database where a test does not say it itself. `./run.sh test faults
 * --database sqlite` runs the fault suite on the second engine.
 */
export const testedDatabase: Engine =
  process.env['HOLDFAST_TEST_DATABASE'] === 'sqlite' ? 'sqlite' : 'postgresql';

/** Test files that have nothing to try on SQLite, and what they are about. */
export const aboutServers = {
  'faults/changed-credentials': 'credentials of a server',
  'faults/database-clients': 'sessions, tablespaces and roles',
  'faults/database-server': 'a server that dies',
  'faults/disk-full-apart': 'a cluster on a disk of its own',
  'faults/external-database': "a server of one's own",
  'faults/external-refusals': "a server of one's own",
} as const;

/** How the engine's own programs are called, as an injected fault knows them. */
export const operations = {
  postgresql: { dump: /^pg_dump --format/, readBack: /^pg_restore/ },
  sqlite: { dump: /sqlite\.mjs back-up$/, readBack: /sqlite\.mjs copy$/ },
}[testedDatabase];
