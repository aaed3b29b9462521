import assert from 'node:assert/strict';
import { chmod, lstat, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { Refusal } from '../src/data-migrations/refusal.ts';
import { readRegistry, writeRegistry } from '../src/data-migrations/registry-file.ts';
import { parseRegistry, type Entry } from '../src/data-migrations/registry.ts';
import { summarize } from '../src/data-migrations/status.ts';
import type { State } from '../src/data-migrations/states.ts';

let folder = '';

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'a registry '));
});

afterEach(async () => {
  await rm(folder, { recursive: true });
});

function entry(id: string, status: Entry['status']): Entry {
  return { id, appliedAt: '2026-01-12T09:00:00.000Z', executionTimeMs: 12, status };
}

const UNREADABLE = {
  'an empty file': '',
  'half a file': '{"migrations":[{"id":"001_a"',
  'another shape': '[]',
  'a NUL in an id':
    '{"migrations":[{"id":"001\\u0000","appliedAt":"2026-01-12T09:00:00.000Z","executionTimeMs":1,"status":"success"}]}',
  'no list': '{"migrations":{}}',
  'an entry without a date': '{"migrations":[{"id":"001_a","executionTimeMs":1,"status":"success"}]}',
  'an unknown status': JSON.stringify({ migrations: [{ ...entry('001_a', 'success'), status: 'done' }] }),
  'an id twice': JSON.stringify({ migrations: [entry('001_a', 'success'), entry('001_a', 'failed')] }),
};

for (const [what, text] of Object.entries(UNREADABLE)) {
  await test(`${what} is refused, not taken for an empty registry`, () => {
    assert.throws(
      () => parseRegistry(text, 'registry.json'),
      (error) =>
        error instanceof Refusal && error.exitCode === 2 && error.message.includes('Do not delete it'),
    );
  });
}

await test('a missing file is no registry, which is not an empty one', async () => {
  assert.equal(await readRegistry(path.join(folder, 'registry.json')), undefined);
});

await test('what was written is read again, in the documented format', async () => {
  const file = path.join(folder, 'registry.json');
  await writeRegistry(file, { migrations: [entry('001_a', 'success')] });
  assert.deepEqual(await readRegistry(file), { migrations: [entry('001_a', 'success')] });
  assert.match(await readFile(file, 'utf8'), /^\{\n {2}"migrations": \[\n {4}\{\n {6}"id": "001_a",\n/);
  assert.deepEqual(await readdir(folder), ['registry.json']);
});

await test('a replaced registry keeps its mode, and a symbolic link goes on pointing at it', async () => {
  const [file, link] = [path.join(folder, 'real.json'), path.join(folder, 'registry.json')];
  await writeFile(file, '{"migrations":[]}');
  await chmod(file, 0o640);
  await symlink('real.json', link);
  await writeRegistry(link, { migrations: [entry('001_a', 'success')] });
  assert.equal((await stat(file)).mode & 0o777, 0o640);
  assert.equal((await readRegistry(file))?.migrations.length, 1);
});

await test('a symbolic link into a folder that is still empty stays one', async () => {
  const link = path.join(folder, 'registry.json');
  const inside = path.join(folder, 'real.json');
  await symlink('real.json', link);
  await writeRegistry(link, { migrations: [entry('001_a', 'success')] });
  assert.equal((await lstat(link)).isSymbolicLink(), true);
  assert.equal((await readRegistry(inside))?.migrations.length, 1);
});

await test('a folder in its place is named as one', async () => {
  await assert.rejects(readRegistry(folder), /it is a folder, not a file/);
});

await test('the summary puts each migration into one list', () => {
  const files = ['001_a', '002_b', '003_c', '004_d'].map(
    (id) => ({ id, path: `/m/${id}.ts`, kind: 'code' }) as const,
  );
  const states = new Map<string, State>([
    ['000_gone', 'COMPLETED'],
    ['001_a', 'FAILED'],
    ['002_b', 'SKIPPED'],
    ['004_d', 'RUNNING'],
  ]);
  const { applied, pending, failed } = summarize(files, states, [], []);
  assert.deepEqual(applied, ['002_b', '000_gone']);
  assert.deepEqual(pending, ['003_c', '004_d']);
  assert.deepEqual(failed, ['001_a']);
});
