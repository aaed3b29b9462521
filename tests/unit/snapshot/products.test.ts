import {
  chmodSync,
  existsSync,
  linkSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import type { Appliance } from '../../../orchestrator/appliance/appliance.ts';
import {
  findUnnamedProducts,
  compareProducts,
  describeProducts,
  findMissingProducts,
  productDigest,
  productPaths,
  restoreProducts,
  storeProduct,
} from '../../../orchestrator/snapshot/products.ts';
import type { SnapshotProduct } from '../../../orchestrator/snapshot/manifest.ts';
import { manifestWith } from '../support/a-manifest.ts';
import { applianceIn, configOf } from '../support/an-appliance.ts';
import { cutShort } from '../support/cut-short.ts';
import { folderInMemory } from '../support/temporary-folder.ts';

const builds = {
  api: { dir: 'api', install: 'none', products: ['node_modules', 'dist'] },
  web: { dir: '.', install: 'none', products: ['api/dist', 'out'] },
};
let folder: string;
let appliance: Appliance;
let failed: string;

const live = (path: string) => join(appliance.directory, path);
function make(path: string, text: string): void {
  mkdirSync(live(path), { recursive: true });
  writeFileSync(join(live(path), 'index.js'), text);
}
const contentsOf = (path: string) =>
  existsSync(join(live(path), 'index.js')) ? readFileSync(join(live(path), 'index.js'), 'utf8') : undefined;

beforeEach(() => {
  folder = folderInMemory();
  appliance = applianceIn(folder, { builds });
  failed = join(folder, 'failed');
  make('api/node_modules', 'old packages');
  make('api/dist', 'old build');
});

const described = (): SnapshotProduct[] => describeProducts(appliance, appliance.config);

test('products are those of every build, each once, relative to the checkout', () => {
  expect(productPaths(configOf({ builds }))).toEqual(['api/node_modules', 'api/dist', 'out']);
});

test('a product that is not there is a fact worth keeping', () => {
  expect(described().map(({ path, present }) => [path, present])).toEqual([
    ['api/node_modules', true],
    ['api/dist', true],
    ['out', false],
  ]);
});

describe('a product is the very one', () => {
  test('after it was moved away and back', () => {
    const before = productDigest(live('api/dist'));
    renameSync(live('api/dist'), join(folder, 'elsewhere'));
    renameSync(join(folder, 'elsewhere'), live('api/dist'));
    expect(productDigest(live('api/dist'))).toBe(before);
  });

  test('after somebody linked one of its files elsewhere', () => {
    const before = productDigest(live('api/dist'));
    linkSync(join(live('api/dist'), 'index.js'), join(folder, 'a backup by hard links'));
    expect(productDigest(live('api/dist'))).toBe(before);
  });

  test('after a tool kept a cache in it, and after that was removed', () => {
    const before = productDigest(live('api/node_modules'));
    mkdirSync(join(live('api/node_modules'), '.cache/jiti'), { recursive: true });
    writeFileSync(join(live('api/node_modules'), '.cache/jiti/x'), '');
    expect(productDigest(live('api/node_modules'))).toBe(before);
    rmSync(join(live('api/node_modules'), '.cache'), { recursive: true });
    expect(productDigest(live('api/node_modules'))).toBe(before);
  });

  test.each<[string, (path: string) => void]>([
    ['written in place', (path) => writeFileSync(join(path, 'index.js'), 'new build')],
    [
      'made anew with the same bytes',
      (path) => {
        rmSync(path, { recursive: true });
        mkdirSync(path);
        writeFileSync(join(path, 'index.js'), 'old build');
      },
    ],
    ['given another mode', (path) => chmodSync(join(path, 'index.js'), 0o700)],
    ['given one more file', (path) => writeFileSync(join(path, 'more.js'), '')],
  ])('not after it was %s', (_what, change) => {
    const before = productDigest(live('api/dist'));
    change(live('api/dist'));
    expect(productDigest(live('api/dist'))).not.toBe(before);
  });
});

describe('a restore', () => {
  test('brings stored products back and moves what is in their place aside', () => {
    const products = described();
    for (const product of products) storeProduct(appliance, product);
    expect(existsSync(live('api/dist'))).toBe(false);
    make('api/dist', 'new build');
    make('out', 'new pages');
    restoreProducts(appliance, products, failed);
    expect([contentsOf('api/node_modules'), contentsOf('api/dist'), contentsOf('out')]).toEqual([
      'old packages',
      'old build',
      undefined,
    ]);
    expect(readFileSync(join(failed, 'products/api/dist/index.js'), 'utf8')).toBe('new build');
    expect(readFileSync(join(failed, 'products/out/index.js'), 'utf8')).toBe('new pages');
    expect(compareProducts(appliance, products)).toEqual([]);
  });

  test('may be run twice, and storing too', () => {
    const products = described();
    for (const product of [...products, ...products]) storeProduct(appliance, product);
    for (let times = 0; times < 2; times += 1) restoreProducts(appliance, products, failed);
    expect(compareProducts(appliance, products)).toEqual([]);
    expect(existsSync(failed)).toBe(false);
  });

  test('killed at any change, is simply run again', async () => {
    const products = described();
    for (let count = 0; ; count += 1) {
      for (const product of products) storeProduct(appliance, product);
      make('api/dist', 'new build');
      make('out', 'new pages');
      const wasCut = await cutShort(count, () => restoreProducts(appliance, products, failed));
      restoreProducts(appliance, products, failed);
      expect(compareProducts(appliance, products)).toEqual([]);
      if (!wasCut) break;
      expect(count).toBeLessThan(50);
    }
  });

  test('keeps a product that another snapshot knows in the store, not among what failed', () => {
    const old = described();
    for (const product of old) storeProduct(appliance, product);
    make('api/dist', 'new build');
    const newer = described();
    for (const [id, products] of Object.entries({ s1: old, s2: newer })) {
      mkdirSync(join(appliance.backupsDirectory, id), { recursive: true });
      const manifest = JSON.stringify(manifestWith({ id, products }));
      writeFileSync(join(appliance.backupsDirectory, id, 'manifest.json'), manifest);
    }
    restoreProducts(appliance, old, failed);
    expect(existsSync(failed)).toBe(false);
    restoreProducts(appliance, newer, failed);
    expect(contentsOf('api/dist')).toBe('new build');
    restoreProducts(appliance, old, failed);
    expect(contentsOf('api/dist')).toBe('old build');
  });

  test('says so when a product is nowhere, and changes nothing for it', () => {
    const products = described();
    rmSync(live('api/dist'), { recursive: true });
    make('api/dist', 'another');
    expect(findMissingProducts(appliance)({ products })).toEqual(['api/dist']);
    expect(() => restoreProducts(appliance, products, failed)).toThrow(
      'api/dist is neither in place nor in the product store',
    );
    expect(contentsOf('api/dist')).toBe('another');
  });
});

test('a comparison names each product that is not as it was', () => {
  const products = described();
  rmSync(live('api/node_modules'), { recursive: true });
  writeFileSync(join(live('api/dist'), 'index.js'), 'written in place');
  make('out', 'new');
  expect(compareProducts(appliance, products)).toEqual([
    'api/node_modules is missing',
    'api/dist is not the one that was there',
    'out was not there before',
  ]);
});

test('a product that is stored or in place is not missing', () => {
  const products = described();
  expect(findMissingProducts(appliance)({ products })).toEqual([]);
  for (const product of products) storeProduct(appliance, product);
  expect(findMissingProducts(appliance)({ products })).toEqual([]);
});

test('what no kept snapshot names is found, to be collected', () => {
  const products = described();
  for (const product of products) storeProduct(appliance, product);
  const [packages, build] = products;
  expect(findUnnamedProducts(appliance, new Set([build?.key ?? '']))).toEqual([
    join(appliance.state.products, packages?.key ?? ''),
  ]);
});
