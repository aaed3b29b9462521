import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { discoverMigrations, nextName } from '../src/data-migrations/discovery.ts';

let folder = '';

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'some migrations '));
});

afterEach(async () => {
  await rm(folder, { recursive: true });
});

async function put(...names: string[]): Promise<void> {
  for (const name of names) await writeFile(path.join(folder, name), '');
}

await test('migrations come in the order of their numbers, however they are spelled; what is beside them is left alone', async () => {
  await put('1000_last.ts', '010_b.sql', '011-c-d.migration.ts', '002_a.mts', '003_Capital.cjs');
  await put('template.ts', 'run.sh', 'registry.json', '002_a.test.ts', 'client.ts', 'README.md');
  const { files, problems, unnumbered } = await discoverMigrations(folder);
  assert.deepEqual(
    files.map(({ id, kind }) => [id, kind]),
    [
      ['002_a', 'code'],
      ['003_Capital', 'code'],
      ['010_b', 'sql'],
      ['011-c-d', 'code'],
      ['1000_last', 'code'],
    ],
  );
  assert.deepEqual(problems, []);
  assert.deepEqual(unnumbered, []);
});

await test('misspelled names and an id twice are problems; shared numbers and gaps are told', async () => {
  await put('1_short.ts', '002.ts', '003_a.ts', '003_b.ts', '006_c.ts', '006_c.sql', 'backfill_x.ts');
  const { problems, warnings, unnumbered } = await discoverMigrations(folder);
  assert.deepEqual(problems, [
    '002.ts: the name must look like 001_what_it_does.ts',
    '1_short.ts: the name must look like 001_what_it_does.ts',
    '006_c.sql and 006_c.ts: one id twice; give one of them the next free number',
  ]);
  assert.deepEqual(warnings, [
    '003_a.ts and 003_b.ts share a number; they run in this order',
    'there is no number 4 to 5; was a file lost?',
  ]);
  assert.deepEqual(unnumbered, [path.join(folder, 'backfill_x.ts')]);
});

await test('numbers that are dates have no gaps', async () => {
  await put('20260101120000_a.ts', '20260301120000_b.ts');
  const { warnings } = await discoverMigrations(folder);
  assert.deepEqual(warnings, []);
});

await test('a new one gets the next number, and a name that is one', () => {
  assert.equal(nextName([], 'Split names'), '001_split_names');
  assert.equal(nextName([{ id: '041_x', path: '', kind: 'sql' }], '014_Größe -- fill!'), '042_gro_e_fill');
  assert.throws(() => nextName([], '???'), /it needs a letter from a to z/);
});
