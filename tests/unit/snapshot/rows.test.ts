import { expect, test } from 'vitest';
import type { Manifest } from '../../../orchestrator/snapshot/manifest.ts';
import {
  describeSuddenlyEmpty,
  isSuddenlyEmpty,
  newestWithRows,
} from '../../../orchestrator/snapshot/rows.ts';
import { listingOf } from '../support/a-manifest.ts';

const holding = (id: string, rows: Record<string, number>) =>
  listingOf(id, {
    database: {
      name: 'books',
      tables: Object.entries(rows).map(([name, count]) => ({ name, rows: count })),
    } as Manifest['database'] & object,
  });
const full = holding('s1', { 'public.entries': 4, 'public._prisma_migrations': 2 });
const noRows = holding('s2', { 'public.entries': 0, 'public._prisma_migrations': 2 });
const noTables = holding('s3', {});

test("a dump of nothing is one whose older ones held something; Prisma's own list is nothing", () => {
  const listings = [noTables, noRows, full];
  expect(listings.map((one) => isSuddenlyEmpty(one, listings))).toEqual([true, true, false]);
  expect(newestWithRows(listings)).toBe(full);
});

test('a database that never held anything is not suddenly empty, and one without a database is none', () => {
  expect(isSuddenlyEmpty(noTables, [noTables, noRows])).toBe(false);
  expect(isSuddenlyEmpty(listingOf('s4'), [listingOf('s4'), full])).toBe(false);
});

test('the operator is told what was held, and how to get it back', () => {
  expect(describeSuddenlyEmpty({ name: 'books', tables: [] }, [noRows, full])).toBe(
    'THE DATABASE books HAS NO TABLES. The snapshot s1 held 4 rows; it stays until you remove it. If that is not meant: ./run.sh rollback s1',
  );
  const tables = [{ name: 'public.entries', rows: 0 }];
  expect(describeSuddenlyEmpty({ name: 'books', tables }, [full])).toContain('HAS NO ROWS');
  expect(describeSuddenlyEmpty({ name: 'books', tables: [{ name: 'a', rows: 1 }] }, [full])).toBeUndefined();
  expect(describeSuddenlyEmpty({ name: 'books', tables: [] }, [])).toBeUndefined();
});
