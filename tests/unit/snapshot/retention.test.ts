import fc from 'fast-check';
import { expect, test } from 'vitest';
import { snapshotKinds } from '../../../orchestrator/snapshot/manifest.ts';
import { chooseToPrune } from '../../../orchestrator/snapshot/retention.ts';
import type { SnapshotListing } from '../../../orchestrator/snapshot/store.ts';
import { brokenListing, listingOf } from '../support/a-manifest.ts';

const prune = (
  listings: Parameters<typeof chooseToPrune>[0],
  keep: number,
  protect: readonly string[] = [],
  goesFirst?: (listing: SnapshotListing) => boolean,
): string[] =>
  chooseToPrune(listings, { keep, protect, ...(goesFirst ? { goesFirst } : {}) }).map(({ id }) => id);
const four = ['s4', 's3', 's2', 's1'].map((id) => listingOf(id));

test('the newest are kept, the older ones go', () => {
  expect(prune(four, 3)).toEqual(['s1']);
  expect(prune(four, 4)).toEqual([]);
  expect(prune([], 5)).toEqual([]);
});

test('named ones stay and do not count', () => {
  const named = listingOf('fair', { kind: 'manual', name: 'fair' });
  expect(prune([named, ...four], 3)).toEqual(['s1']);
  expect(prune([...four, named], 1)).toEqual(['s3', 's2', 's1']);
});

test('manual ones stay without a name as well', () => {
  expect(prune([listingOf('s5', { kind: 'manual' }), ...four], 4)).toEqual([]);
  expect(prune([...four, listingOf('s0', { kind: 'manual' })], 1)).toEqual(['s3', 's2', 's1']);
});

test('one that cannot be read is left for a person to look at, and does not count', () => {
  expect(prune([brokenListing('s5'), ...four], 4)).toEqual([]);
  expect(prune([...four, brokenListing('s0')], 1)).toEqual(['s3', 's2', 's1']);
});

test('one that is protected stays, however old', () => {
  expect(prune(four, 1, ['s1'])).toEqual(['s3', 's2']);
});

test('the newest good one stays whatever the number, and whatever is named or cannot be read', () => {
  const kind = fc.constantFrom(...snapshotKinds, 'named' as const, 'broken' as const);
  fc.assert(
    fc.property(fc.array(kind, { maxLength: 8 }), fc.integer({ min: -1, max: 9 }), (kinds, keep) => {
      const listings = kinds.map((one, i) => {
        if (one === 'broken') return brokenListing(`s${i}`);
        return listingOf(`s${i}`, one === 'named' ? { kind: 'manual', name: `n${i}` } : { kind: one });
      });
      const gone = prune(listings, keep);
      const stays = ['named', 'manual', 'broken'];
      const counted = kinds.flatMap((one, i) => (stays.includes(one) ? [] : [`s${i}`]));
      expect(gone).toEqual(counted.slice(Math.max(1, keep)));
      const newest = listings.find(({ manifest }) => manifest !== undefined);
      expect(gone).not.toContain(newest?.id);
    }),
  );
});

test('those that nobody would go back to go first, but the newest stays whatever it is', () => {
  const failed = ['s6', 's5', 's4'].map((id) => listingOf(id));
  const isFailed = (one: SnapshotListing) => failed.includes(one);
  expect(prune([...failed, ...four.slice(2)], 3, [], isFailed)).toEqual(['s5', 's4']);
  expect(prune([...failed, ...four.slice(2)], 1, [], isFailed)).toEqual(['s1', 's5', 's4']);
});

test('an imported one stays, and does not count', () => {
  const imported = { ...listingOf('s9'), imported: true };
  expect(prune([imported, ...four], 4)).toEqual([]);
  expect(prune([...four, imported], 1)).toEqual(['s3', 's2', 's1']);
});
