import { describe, expect, test } from 'vitest';
import { Refusal } from '../../../orchestrator/lib/errors.ts';
import {
  chooseByName,
  chooseByNameOrLatest,
  chooseForRollback,
  chooseForUndo,
  findForRollback,
} from '../../../orchestrator/snapshot/choose.ts';
import type { SnapshotListing } from '../../../orchestrator/snapshot/store.ts';
import { brokenListing, listingOf } from '../support/a-manifest.ts';

/** Newest first, the checkout at commit "now". Runs called "failed..." came to no commit; "foreign..." are unknown. */
function choice(...listings: SnapshotListing[]) {
  const committed = (run: string) => (run.startsWith('foreign') ? undefined : !run.startsWith('failed'));
  return { listings, commit: 'now', committed };
}
const update = (id: string, commit = 'old') => listingOf(id, { commit });

describe('rollback takes', () => {
  test.each<[string, SnapshotListing[], string | undefined]>([
    ['the newest of another commit', [update('s3'), update('s2')], 's3'],
    ['not one of the commit that is installed', [update('s3', 'now'), update('s2')], 's2'],
    ['not one whose update failed: it was restored then', [update('failed-3'), update('s2')], 's2'],
    ['one whose run is not known here', [update('foreign-3'), update('s2')], 'foreign-3'],
    [
      'not one made before a rollback',
      [listingOf('s3', { kind: 'before-rollback', commit: 'old' }), update('s2')],
      's2',
    ],
    [
      'a manual one, whatever became of its run',
      [listingOf('failed-3', { kind: 'manual', commit: 'old' })],
      'failed-3',
    ],
    ['a scheduled one', [listingOf('s3', { kind: 'scheduled', commit: 'old' }), update('s2')], 's3'],
    ['none that cannot be read', [brokenListing('s3'), update('s2')], 's2'],
    ['nothing where there is nothing', [], undefined],
    [
      'nothing where all are of this commit',
      [update('s3', 'now'), listingOf('s2', { kind: 'manual', commit: 'now' })],
      undefined,
    ],
  ])('%s', (_what, listings, expected) => {
    expect(findForRollback(choice(...listings))?.id).toBe(expected);
  });

  test('nothing, and says so, where there is none', () => {
    expect(() => chooseForRollback(choice(update('s3', 'now')))).toThrow(Refusal);
    expect(chooseForRollback(choice(update('s3'))).id).toBe('s3');
  });

  test('none that is newer than what is installed: typed once more, it does not go forward again', () => {
    const listings = [update('s3', 'newer'), update('s2', 'older')];
    const isOlder = (commit: string) => commit === 'older';
    expect(findForRollback({ ...choice(...listings), isOlder })?.id).toBe('s2');
    expect(findForRollback({ ...choice(update('s3', 'newer')), isOlder })).toBeUndefined();
  });
});

describe('rollback --undo takes', () => {
  test('the newest one made before a rollback, of whatever commit', () => {
    const listings = [
      update('s4'),
      brokenListing('s3'),
      ...['s2', 's1'].map((id) => listingOf(id, { kind: 'before-rollback', commit: 'now' })),
    ];
    expect(chooseForUndo(choice(...listings)).id).toBe('s2');
  });

  test('not one whose rollback failed: it was restored then', () => {
    const listings = ['failed-2', 's1'].map((id) => listingOf(id, { kind: 'before-rollback' }));
    expect(chooseForUndo(choice(...listings)).id).toBe('s1');
  });

  test('nothing where there was no rollback', () => {
    expect(() => chooseForUndo(choice(update('s1')))).toThrow('cannot undo: there was no rollback');
  });
});

describe('a snapshot that is named', () => {
  const listings = [
    update('s3'),
    listingOf('s2', { kind: 'manual', name: 'before-the-fair' }),
    brokenListing('s1'),
  ];

  test('is found by its id or its name, whatever its kind and commit', () => {
    expect(chooseByName(choice(...listings), 's3').id).toBe('s3');
    expect(chooseByName(choice(...listings), 'before-the-fair').id).toBe('s2');
  });

  test('is refused when it cannot be read, with why', () => {
    expect(() => chooseByName(choice(...listings), 's1')).toThrow(
      'cannot use the snapshot s1: its manifest is not JSON',
    );
  });

  test('that does not exist is refused, with those that do', () => {
    expect(() => chooseByName(choice(...listings), 's')).toThrow(
      'cannot find the snapshot "s"; there are s3, s2, s1',
    );
    expect(() => chooseByName(choice(), 's')).toThrow('there is none');
  });

  test('latest is the newest that can be read, where that is said; one that is called so goes before it', () => {
    const newest = choice(brokenListing('s4'), ...listings);
    expect(chooseByNameOrLatest(newest, 'latest').id).toBe('s3');
    expect(chooseByNameOrLatest(newest, 's2').id).toBe('s2');
    const called = listingOf('s0', { kind: 'manual', name: 'latest' });
    expect(chooseByNameOrLatest(choice(...listings, called), 'latest').id).toBe('s0');
    expect(() => chooseByNameOrLatest(choice(brokenListing('s4')), 'latest')).toThrow('cannot find');
    // A rollback has a rule of its own for what it takes by itself.
    expect(() => chooseByName(newest, 'latest')).toThrow('cannot find the snapshot "latest"');
  });
});
