import { createHash } from 'node:crypto';
import { existsSync, lstatSync, mkdirSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Appliance } from '../appliance/appliance.ts';
import type { Config } from '../config/schema.ts';
import { renameDurably } from '../lib/atomic-file.ts';
import type { RawPath } from '../lib/raw-path.ts';
import { encodeEntry, look, scan } from './inventory.ts';
import type { Manifest, SnapshotProduct } from './manifest.ts';
import { listSnapshots } from './store.ts';

/*
 * Products are what a build makes: node_modules, dist. They are not archived: each has one place at a time, live or
 * `.holdfast/products/<key>`, and goes from one to the other by a rename. So a way back needs no rebuild and no
 * network. A manifest names the keys.
 */

/** The product folders of a configuration, relative to the checkout. */
export function productPaths(config: Config): string[] {
  return [
    ...new Set(
      Object.values(config.builds).flatMap((build) =>
        build.products.map((product) => join(build.dir, product)),
      ),
    ),
  ];
}

/** What is live now, with the key that each will have in the store. */
export function describeProducts(appliance: Appliance, config: Config): SnapshotProduct[] {
  return productPaths(config).map((path) => {
    const present = exists(join(appliance.directory, path));
    const digest = present ? productDigest(join(appliance.directory, path)) : '';
    return { path, present, digest, key: productKey(path, digest) };
  });
}

/** The name of a product in the store: two snapshots of the same product name the same one. */
function productKey(path: string, digest: string): string {
  const slug = path.replaceAll(/[^A-Za-z0-9]+/g, '-').replaceAll(/^-+|-+$/g, '');
  return `${slug}-${digest.slice(0, 20) || 'absent'}`;
}

/** Where tools keep what they can make again, inside node_modules, whenever they run: Prisma's command line for one. */
const toolCache = '.cache';

/**
 * Tells whether a product is the very one that it was: names, sizes, modes, times and inodes of all its entries.
 * Contents are not read: tens of thousands of files would cost seconds of downtime, and a rename changes none.
 */
export function productDigest(path: string): string {
  const hash = createHash('sha256');
  // A product may be a single file, or a link: then it is its own only entry.
  const itself = look(path, '' as RawPath);
  const entries =
    itself?.type === 'directory'
      ? scan({ path, exclude: [toolCache], patterns: [] })
      : itself
        ? [itself]
        : [];
  for (const entry of entries) {
    // A rename changes the top folder's change time, and a link made elsewhere a file's.
    const { ctimeNs: _, device: __, ...kept } = entry;
    hash.update(
      encodeEntry({
        ...{ ...kept, ctimeNs: 0n, device: 0n },
        ...(entry.type === 'directory' ? { size: 0 } : {}),
        // The cache coming and going changes it, and what else does is an entry of its own.
        ...(entry.path === '' && entry.type === 'directory' ? { mtimeNs: 0n } : {}),
      }),
    );
  }
  return hash.digest('hex');
}

/** Moves a live product into the store. It is there already, or there was none: no error. May be run twice. */
export function storeProduct(appliance: Appliance, product: SnapshotProduct): void {
  const live = join(appliance.directory, product.path);
  const stored = join(appliance.state.products, product.key);
  if (!product.present || exists(stored) || !exists(live)) return;
  renameDurably(live, stored);
}

/**
 * Puts the products of a snapshot back where they were. What is in their place makes room
 * (`displacedProductPath`). May be run twice.
 *
 * @throws Error if a product is neither live nor in the store
 */
export function restoreProducts(
  appliance: Appliance,
  products: readonly SnapshotProduct[],
  failedFolder: string,
): void {
  storeKnownProducts(appliance, products);
  for (const product of products) {
    const live = join(appliance.directory, product.path);
    const stored = join(appliance.state.products, product.key);
    if (product.present && !exists(stored)) {
      // It never left its place, or came back to it in an earlier attempt.
      if (exists(live) && productDigest(live) === product.digest) continue;
      throw new Error(`${product.path} is neither in place nor in the product store`);
    }
    if (exists(live)) {
      const target = freeName(displacedProductPath(appliance, product.path, failedFolder));
      mkdirSync(dirname(target), { recursive: true, mode: 0o700 });
      renameDurably(live, target);
    }
    if (product.present) {
      mkdirSync(dirname(live), { recursive: true });
      renameDurably(stored, live);
    }
  }
}

/**
 * Products of other versions that lie in places which this one does not know as products go into the store, where the
 * snapshots that know them will look.
 */
function storeKnownProducts(appliance: Appliance, products: readonly SnapshotProduct[]): void {
  const expected = new Set(products.map(({ path }) => path));
  const others = listSnapshots(appliance.backupsDirectory).flatMap(
    ({ manifest }) => manifest?.products ?? [],
  );
  for (const product of others) {
    const live = join(appliance.directory, product.path);
    if (!product.present || expected.has(product.path) || !exists(live)) continue;
    if (productDigest(live) === product.digest) storeProduct(appliance, product);
  }
}

/** What is not as the manifest says. Empty when all products are the very ones. */
export function compareProducts(appliance: Appliance, products: readonly SnapshotProduct[]): string[] {
  return products.flatMap(({ path, present, digest }) => {
    const live = join(appliance.directory, path);
    if (!present) return exists(live) ? [`${path} was not there before`] : [];
    if (!exists(live)) return [`${path} is missing`];
    return productDigest(live) === digest ? [] : [`${path} is not the one that was there`];
  });
}

/** Stored products that no kept snapshot names, as paths. */
export function findUnnamedProducts(appliance: Appliance, keep: ReadonlySet<string>): string[] {
  if (!existsSync(appliance.state.products)) return [];
  return readdirSync(appliance.state.products)
    .filter((key) => !keep.has(key))
    .map((key) => join(appliance.state.products, key));
}

/** A name beside the wanted one where that is taken: what was moved aside is never overwritten. */
export function freeName(path: string): string {
  let name = path;
  for (let number = 2; exists(name); number += 1) name = `${path}~${number}`;
  return name;
}

function exists(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
}

/**
 * Where a live product goes that must make room: into the store under the key by which a kept snapshot knows it, or
 * into the folder of what failed.
 */
export function displacedProductPath(appliance: Appliance, path: string, failedFolder: string): string {
  const key = productKey(path, productDigest(join(appliance.directory, path)));
  const isKnown = listSnapshots(appliance.backupsDirectory).some(({ manifest }) =>
    manifest?.products.some((product) => product.key === key),
  );
  const stored = join(appliance.state.products, key);
  return isKnown && !exists(stored) ? stored : join(failedFolder, 'products', path);
}

/**
 * Tells which products of a snapshot are nowhere any more, so that it cannot be brought back by renames. What is live
 * is looked at once for each path, however many snapshots are asked about.
 */
export function findMissingProducts(
  appliance: Appliance,
): (manifest: Pick<Manifest, 'products'>) => string[] {
  const live = new Map<string, string>();
  const liveDigest = (path: string) => {
    const digest = live.get(path) ?? productDigest(join(appliance.directory, path));
    live.set(path, digest);
    return digest;
  };
  return ({ products }) =>
    products
      .filter(
        ({ path, present, key, digest }) =>
          present && !exists(join(appliance.state.products, key)) && liveDigest(path) !== digest,
      )
      .map(({ path }) => path);
}
