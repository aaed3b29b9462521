import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, expect, test } from 'vitest';
import {
  backupRegistry,
  compareRegistry,
  registryPath,
  restoreRegistry,
} from '../../../orchestrator/snapshot/registry.ts';
import { manifestWith } from '../support/a-manifest.ts';
import { configOf } from '../support/an-appliance.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const config = configOf({ database: { embedded: true }, prisma: { dataMigrations: { dir: 'db/data' } } });
let box: string;
let folder: string;
let registry: string;
beforeEach(() => {
  [box, folder] = [temporaryFolder(), temporaryFolder()];
  registry = join(box, 'db/data/registry.json');
  mkdirSync(join(box, 'db/data'), { recursive: true });
});

/** The manifest of a snapshot taken now. */
const taken = () => {
  const facts = backupRegistry(box, config, folder);
  return manifestWith(facts ? { registry: facts } : {});
};
const comparedTo = (manifest: ReturnType<typeof taken>) => compareRegistry(box, manifest, folder);

test('an appliance without data migrations has no registry', () => {
  expect(registryPath(configOf())).toBeUndefined();
  expect(backupRegistry(box, configOf(), folder)).toBeUndefined();
  restoreRegistry(box, manifestWith(), folder);
  expect(compareRegistry(box, manifestWith(), folder)).toEqual([]);
});

test.each<[string, () => void, string]>([
  ['changed', () => writeFileSync(registry, '["new"]'), 'registry.json differs'],
  ['deleted', () => rmSync(registry), 'registry.json is missing'],
  ['gone with its folder', () => rmSync(join(box, 'db'), { recursive: true }), 'registry.json is missing'],
])('a registry that was %s comes back to the byte; twice is no error', (_what, change, told) => {
  writeFileSync(registry, '["old"]\n');
  const manifest = taken();
  expect(comparedTo(manifest)).toEqual([]);
  change();
  expect(comparedTo(manifest)).toEqual([told]);
  for (let times = 0; times < 2; times += 1) restoreRegistry(box, manifest, folder);
  expect(readFileSync(registry, 'utf8')).toBe('["old"]\n');
  expect(comparedTo(manifest)).toEqual([]);
});

test('a registry that was not there is not there afterwards', () => {
  const manifest = taken();
  writeFileSync(registry, '[]');
  expect(comparedTo(manifest)).toEqual(['registry.json was not there before']);
  for (let times = 0; times < 2; times += 1) restoreRegistry(box, manifest, folder);
  expect(existsSync(registry)).toBe(false);
});
