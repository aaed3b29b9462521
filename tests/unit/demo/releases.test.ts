import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parseConfigText } from '../../../orchestrator/config/load.ts';
import { applyEdits, type Release } from '../../../orchestrator/demo/releases/edit.ts';
import { release1 } from '../../../orchestrator/demo/releases/release-1.ts';
import { release2 } from '../../../orchestrator/demo/releases/release-2.ts';
import { release3 } from '../../../orchestrator/demo/releases/release-3.ts';
import { Refusal } from '../../../orchestrator/lib/errors.ts';

const root = join(import.meta.dirname, '..', '..', '..');
const products = /\/(node_modules|dist|generated)$/;
const dataMigrations = 'backend/prisma/data-migrations';
const schemaMigrations = 'backend/prisma/migrations';

let tree: string;
beforeEach(() => {
  tree = mkdtempSync(join(tmpdir(), 'demo-releases-'));
  for (const name of ['backend', 'frontend', 'appliance.yaml'])
    cpSync(join(root, name), join(tree, name), { recursive: true, filter: (path) => !products.test(path) });
});
afterEach(() => rmSync(tree, { recursive: true }));

const read = (path: string) => readFileSync(join(tree, path), 'utf8');
const list = (path: string) => readdirSync(join(tree, path)).toSorted();
const ports = { backend: 15_001, frontend: 15_002 };
const publish = (...releases: Release[]) => {
  for (const { edits } of releases) applyEdits(tree, edits);
};

describe('the releases of the demo fit the reference appliance as it is now', () => {
  it('release 1: a valid configuration on ports of its own', () => {
    publish(release1(ports));
    const config = parseConfigText(read('appliance.yaml'), 'appliance.yaml');
    expect(config.services['backend']?.port).toBe(15_001);
    expect(config.services['frontend']).toMatchObject({
      port: 15_002,
      env: { BACKEND_URL: 'http://127.0.0.1:15001' },
    });
    expect(config.database).toEqual({ embedded: true });
    for (const folder of ['backend', 'frontend'])
      for (const name of ['package.json', 'package-lock.json'])
        expect(JSON.parse(read(`${folder}/${name}`))).toMatchObject({ version: '1.0.0' });
  });

  it('releases 2 and 3: one schema migration and one data migration each, after all that there are', () => {
    publish(release1(ports));
    const before = { schema: list(schemaMigrations), data: list(dataMigrations) };
    publish(release2, release3);
    const added = (path: string, old: string[]) => list(path).filter((name) => !old.includes(name));
    const schema = added(schemaMigrations, before.schema);
    const data = added(dataMigrations, before.data);
    expect(schema).toHaveLength(2);
    expect(data).toHaveLength(2);
    const lastSchema = before.schema.findLast((name) => /^\d/.test(name)) ?? '';
    expect(schema.every((name) => name > lastSchema)).toBe(true);
    const numbers = before.data
      .filter((name) => /^\d{3}_/.test(name))
      .map((name) => Number(name.slice(0, 3)));
    expect(data.map((name) => Number(name.slice(0, 3)))).toEqual([
      Math.max(...numbers) + 1,
      Math.max(...numbers) + 2,
    ]);
    for (const name of data) {
      expect(() => stripTypeScriptTypes(read(`${dataMigrations}/${name}`))).not.toThrow();
      expect(read(`${dataMigrations}/${name}`)).toContain(`id: '${name.replace('.ts', '')}'`);
    }
    expect(read('frontend/index.html')).toContain('<title>Inventory 3</title>');
    expect(JSON.parse(read('backend/package.json'))).toMatchObject({ version: '3.0.0' });
  });
});

describe('a change that does not fit', () => {
  it('is refused by the name of its file', () => {
    const refused = (edit: Release['edits'][number]) => () => applyEdits(tree, [edit]);
    expect(refused({ change: 'appliance.yaml', from: 'no such passage', to: '' })).toThrow(Refusal);
    expect(refused({ change: 'appliance.yaml', from: 'no such passage', to: '' })).toThrow(
      /change of appliance.yaml .* 0 times/,
    );
    expect(refused({ change: 'appliance.yaml', from: ':', to: '' })).toThrow(/times instead of once/);
    expect(refused({ add: 'appliance.yaml', text: '' })).toThrow(/there is such a file already/);
    expect(refused({ rewrite: 'nowhere', how: (text) => text })).toThrow(/there is no such file/);
  });
});
