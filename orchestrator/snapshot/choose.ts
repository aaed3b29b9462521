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
  /** Why a snapshot is no way back by itself any more; undefined while it is. */
  readonly spent?: ((manifest: Manifest) => string | undefined) | undefined;
}

export type Good = SnapshotListing & { readonly manifest: Manifest };
const isReadable = (listing: SnapshotListing): listing is Good => listing.manifest !== undefined;

/** Those that can be read and are not spent. */
export function goodOnes({ listings, spent }: Choice): Good[] {
  return listings.filter(isReadable).filter(({ manifest }) => spent?.(manifest) === undefined);
}

/**
 * What `rollback` takes: the newest good snapshot of another commit whose update came to its end. A snapshot whose
 * update failed was restored already, and one made before a rollback is for `--undo`.
 *
 * @throws Refusal if there is none
 */
export function chooseForRollback(choice: Choice): Good {
  const found = findForRollback(choice);
  if (found) return found;
  const { spent } = choice;
  const anyway = findForRollback({ ...choice, spent: undefined });
  if (anyway) {
    throw new Refusal(
      `cannot roll back: no snapshot of an older version is whole here; the newest, ${anyway.id}, is spent: ${spent?.(anyway.manifest)}`,
      `./run.sh rollback ${anyway.id} says what can be done with it`,
    );
  }
  throw new Refusal(
    'cannot roll back: there is no snapshot of an older version that was updated from',
    './run.sh backup list shows what there is',
  );
}

/** The same, or undefined. */
export function findForRollback(choice: Choice): Good | undefined {
  const { commit, committed, isOlder } = choice;
  return goodOnes(choice).find(
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
export function chooseForUndo(choice: Choice): Good {
  const found = findForUndo(choice);
  if (!found)
    throw new Refusal(
      'cannot undo: there was no rollback whose snapshot is still kept',
      './run.sh backup list shows what there is',
    );
  return found;
}

/** The same, or undefined. */
export function findForUndo(choice: Choice): Good | undefined {
  return goodOnes(choice).find(
    ({ manifest }) => manifest.kind === 'before-rollback' && choice.committed(manifest.run) !== false,
  );
}

/** True for one whose run failed and was restored then: nobody goes back to it, since nobody left it. */
export function wasRestored({ committed }: Choice, { manifest }: SnapshotListing): boolean {
  return (
    (manifest?.kind === 'update' || manifest?.kind === 'before-rollback') && committed(manifest.run) === false
  );
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
  if (!isReadable(found))
    throw new Refusal(`cannot use the snapshot ${found.id}: ${found.problem}`, './run.sh backup list');
  return found;
}

/** The same, where `latest` is the newest that can be read: unless one is called so. Throws Refusal. */
export function chooseByNameOrLatest(choice: Choice, name: string): Good {
  const isName = choice.listings.some(({ manifest }) => manifest?.name === name);
  const newest = choice.listings.find(isReadable);
  return name === 'latest' && !isName && newest ? newest : chooseByName(choice, name);
}
