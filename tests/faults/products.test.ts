import {
  existsSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import type { Appliance } from '../../orchestrator/appliance/appliance.ts';
import type { SnapshotProduct } from '../../orchestrator/snapshot/manifest.ts';
import {
  compareProducts,
  describeProducts,
  findMissingProducts,
  restoreProducts,
  storeProduct,
} from '../../orchestrator/snapshot/products.ts';
import { applianceIn } from '../unit/support/an-appliance.ts';
import { cutShort } from '../unit/support/cut-short.ts';
import { folderInMemory } from '../unit/support/temporary-folder.ts';

/* Products that a build left half-made, that are a single file, or that are a link to somewhere else. */

const products = ['node_modules', 'bundle.js', 'dist'];
let folder: string;
let appliance: Appliance;
const live = (path: string) => join(appliance.directory, path);
const failed = () => join(folder, 'failed');

beforeEach(() => {
  folder = folderInMemory();
  appliance = applianceIn(folder, { builds: { app: { install: 'none', products } } });
  mkdirSync(live('node_modules/pg'), { recursive: true });
  writeFileSync(live('node_modules/pg/index.js'), 'packages of 1');
  writeFileSync(live('bundle.js'), 'bundle of 1');
  for (const version of [1, 2]) {
    mkdirSync(join(folder, `dist-${version}`));
    writeFileSync(join(folder, `dist-${version}/index.js`), `dist of ${version}`);
  }
  symlinkSync('../dist-1', live('dist'));
});

/** What an update does: it describes what is there, and moves it out of the way. */
function store(): SnapshotProduct[] {
  const described = describeProducts(appliance, appliance.config);
  for (const product of described) storeProduct(appliance, product);
  return described;
}
/** A build that died: some of it is there. */
function makeHalf(): void {
  mkdirSync(live('node_modules/pg'), { recursive: true });
  writeFileSync(live('node_modules/pg/package.json'), '{ "na');
  writeFileSync(live('bundle.js'), 'bun');
}
const facts = () => [
  readFileSync(live('node_modules/pg/index.js'), 'utf8'),
  readFileSync(live('bundle.js'), 'utf8'),
  readlinkSync(live('dist')),
];
const first = ['packages of 1', 'bundle of 1', '../dist-1'];

describe('what a build left half-made', () => {
  test('makes room for what was there, is kept for whoever looks into it, and is never taken for a whole product', () => {
    const before = store();
    makeHalf();

    restoreProducts(appliance, before, failed());

    expect(facts()).toEqual(first);
    expect(compareProducts(appliance, before)).toEqual([]);
    expect(readFileSync(join(failed(), 'products/node_modules/pg/package.json'), 'utf8')).toBe('{ "na');
    expect(findMissingProducts(appliance)({ products: before })).toEqual([]);
  });

  test('does so however often the restore is killed', async () => {
    for (let count = 0; ; count += 1) {
      const before = store();
      makeHalf();
      const wasCut = await cutShort(count, () => restoreProducts(appliance, before, failed()));
      if (wasCut) restoreProducts(appliance, before, failed());
      expect([facts(), compareProducts(appliance, before)]).toEqual([first, []]);
      if (!wasCut) break;
    }
  });

  test('cannot be moved into the store under the name of the whole one', () => {
    const before = store();
    makeHalf();
    for (const product of before) storeProduct(appliance, product);

    restoreProducts(appliance, before, failed());

    expect(facts()).toEqual(first);
  });
});

test('a file and a link as products: each version has its own, and none is taken for another', () => {
  const one = store();
  makeHalf();
  rmSync(live('bundle.js'));
  writeFileSync(live('bundle.js'), 'bundle of 2');
  symlinkSync('../dist-2', live('dist'));
  const two = store();
  expect(new Set([...one, ...two].map(({ key }) => key)).size).toBe(6);
  makeHalf();

  restoreProducts(appliance, two, failed());
  expect([readFileSync(live('bundle.js'), 'utf8'), readlinkSync(live('dist'))]).toEqual([
    'bundle of 2',
    '../dist-2',
  ]);
  restoreProducts(appliance, one, failed());
  expect(facts()).toEqual(first);
  expect(readFileSync(join(folder, 'dist-2/index.js'), 'utf8')).toBe('dist of 2');
  expect(compareProducts(appliance, two)).toContain('bundle.js is not the one that was there');
  expect(existsSync(live('dist/index.js'))).toBe(true);
});
