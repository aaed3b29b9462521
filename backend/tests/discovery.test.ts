import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { discoverMigrations } from '../src/data-migrations/discovery.ts';
import { loadMigrations } from '../src/data-migrations/loading.ts';

let folder = '';

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'some migrations '));
});

afterEach(async () => {
  await rm(folder, { recursive: true });
});

async function put(name: string, text = ''): Promise<void> {
  await writeFile(path.join(folder, name), text);
}

await test('migrations come in the order of their numbers; template and helpers are left alone', async () => {
  for (const name of ['1000_last.ts', '010_b.ts', '002_a.ts', 'template.ts', 'run.sh', 'registry.json'])
    await put(name);
  const { files, problems } = await discoverMigrations(folder);
  assert.deepEqual(
    files.map(({ id }) => id),
    ['002_a', '010_b', '1000_last'],
  );
  assert.deepEqual(problems, []);
});

await test('misspelled names and numbers used twice are problems', async () => {
  for (const name of ['1_short.ts', '002_Capital.ts', '003_a.ts', '003_b.ts', '004_built.js'])
    await put(name);
  const { problems } = await discoverMigrations(folder);
  assert.deepEqual(problems, [
    '002_Capital.ts: the name must look like 001_what_it_does.ts',
    '004_built.js: the name must look like 001_what_it_does.ts',
    '1_short.ts: the name must look like 001_what_it_does.ts',
    '003_a.ts and 003_b.ts: duplicate number; give one of them the next free number',
  ]);
});

const BROKEN = [
  ['export const other = 1;', /^001_a\.ts: it does not export "migration"/],
  ['export const migration = 1;', /^001_a\.ts: its "migration" is not an object/],
  ["export const migration = { id: 'CHANGE_ME_TO_MATCH_FILENAME', up() {} };", /still the template's/],
  ["export const migration = { id: '001_b', up() {} };", /must equal the file's name, "001_a"/],
  ["export const migration = { id: '002_z', up() {} };", /duplicate id: "002_z" belongs to 002_z\.ts/],
  ["export const migration = { id: '001_a' };", /"up" is not a function/],
  ["export const migration = { id: '001_a', up() {}, shouldRun: true };", /"shouldRun" is not a function/],
  ['const a = 1;\nconst a = 2;', /^001_a\.ts:2: it does not load/],
  ["import './missing.ts';", /^001_a\.ts: it does not load: Cannot find module/],
  ["\nthrow new Error('at load');", /^001_a\.ts:2: it does not load: at load/],
] as const;

for (const [text, problem] of BROKEN) {
  await test(`refused before anything runs: ${text.trim()}`, async () => {
    await put('001_a.ts', text);
    await put('002_z.ts', "export const migration = { id: '002_z', up() {} };");
    const { files } = await discoverMigrations(folder);
    const { migrations, problems } = await loadMigrations(files);
    assert.equal(problems.length, 1);
    assert.match(problems[0] ?? '', problem);
    assert.deepEqual(
      migrations.map(({ id }) => id),
      ['002_z'],
    );
  });
}
