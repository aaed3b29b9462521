import type { DatabaseFacts } from '../database/database-facts.ts';
import { plural } from '../lib/units.ts';
import type { SnapshotListing } from './store.ts';

/** How many rows a database holds, Prisma's own list of migrations aside. */
function rowsIn({ tables }: Pick<DatabaseFacts, 'tables'>): number {
  return tables
    .filter(({ name }) => !/(^|\.)_prisma_migrations$/.test(name))
    .reduce((sum, { rows }) => sum + rows, 0);
}

/** The newest snapshot whose database holds anything. */
export function newestWithRows(listings: readonly SnapshotListing[]): SnapshotListing | undefined {
  return listings.find(({ manifest }) => manifest?.database !== undefined && rowsIn(manifest.database) > 0);
}

/** A dump of nothing although an older snapshot held something: it must not push that one out. */
export function isSuddenlyEmpty(listing: SnapshotListing, listings: readonly SnapshotListing[]): boolean {
  const database = listing.manifest?.database;
  if (!database || rowsIn(database) > 0) return false;
  return newestWithRows(listings.slice(listings.indexOf(listing) + 1)) !== undefined;
}

/** What the operator must hear when a database that held something is found empty; undefined otherwise. */
export function describeSuddenlyEmpty(
  facts: Pick<DatabaseFacts, 'name' | 'tables'>,
  listings: readonly SnapshotListing[],
): string | undefined {
  const former = newestWithRows(listings);
  if (!former?.manifest?.database || rowsIn(facts) > 0) return undefined;
  const found = facts.tables.length === 0 ? 'HAS NO TABLES' : 'HAS NO ROWS';
  const held = plural(rowsIn(former.manifest.database), 'row');
  return `THE DATABASE ${facts.name} ${found}. The snapshot ${former.id} held ${held}; it stays until you remove it. If that is not meant: ./run.sh rollback ${former.id}`;
}
