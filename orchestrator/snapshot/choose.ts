import { Refusal } from '../lib/errors.ts';
import type { Manifest } from './manifest.ts';
import type { SnapshotListing } from './store.ts';

export interface Choice {
  readonly listings: readonly SnapshotListing[];
  /** Where the checkout stands. */
  readonly commit: string;
  /** Whether the update that made this snapshot was committed; unknown (another host's, a pruned run) is undefined. */
  readonly committed: (run: string) => boolean | undefined;
  /**
   * Whether a commit is one that the checkout descends from. After a rollback to the oldest version the newest snapshot
   * of another one is newer: `rollback` typed once more would go forward again.
   */
  readonly isOlder?: ((commit: string) => boolean) | undefined;
}

type Good = SnapshotListing & { readonly manifest: Manifest };
const isGood = (listing: SnapshotListing): listing is Good => listing.manifest !== undefined;

/**
 * What `rollback` takes: the newest good snapshot of another commit whose update came to its end. A snapshot whose
 * update failed was restored already, and one made before a rollback is for `--undo`.
 *
 * @throws Refusal if there is none
 */
export function chooseForRollback(choice: Choice): Good {
  const found = findForRollback(choice);
  if (!found) {
    throw new Refusal(
      'cannot roll back: there is no snapshot of an older version that was updated from',
      './run.sh backup list shows what there is',
    );
  }
  return found;
}

/** The same, or undefined. */
export function findForRollback({ listings, commit, committed, isOlder }: Choice): Good | undefined {
  return listings
    .filter(isGood)
    .find(
      ({ manifest }) =>
        manifest.commit !== commit &&
        isOlder?.(manifest.commit) !== false &&
        manifest.kind !== 'before-rollback' &&
        (manifest.kind !== 'update' || committed(manifest.run) !== false),
    );
}

/**
 * What `rollback --undo` takes: the newest one made before a rollback that came to its end; one that failed was
 * restored then. Throws Refusal if there is none.
 */
export function chooseForUndo({ listings, committed }: Choice): Good {
  const found = listings
    .filter(isGood)
    .find(({ manifest }) => manifest.kind === 'before-rollback' && committed(manifest.run) !== false);
  if (!found)
    throw new Refusal(
      'cannot undo: there was no rollback whose snapshot is still kept',
      './run.sh backup list shows what there is',
    );
  return found;
}

/** The snapshot of that id or name. Throws Refusal that lists what there is. */
export function chooseByName({ listings }: Choice, name: string): Good {
  const found = listings.find(({ id, manifest }) => id === name || manifest?.name === name);
  if (!found) {
    const known = listings.slice(0, 5).map(({ id }) => id);
    throw new Refusal(
      `cannot find the snapshot "${name}"; there ${known.length === 0 ? 'is none' : `are ${known.join(', ')}`}`,
      './run.sh backup list',
    );
  }
  if (!isGood(found))
    throw new Refusal(`cannot use the snapshot ${found.id}: ${found.problem}`, './run.sh backup list');
  return found;
}
