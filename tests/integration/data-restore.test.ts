import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Ledger } from '../support/ledger.ts';
import type { Edit } from '../support/releases.ts';
import { differences, type State } from '../support/state.ts';

/* The engine of the reference appliance in updates of the ledger: its table and its registry come back together. */

const folder = 'api/data-migrations';
const engine = join(import.meta.dirname, '../../backend/prisma/data-migrations/run.sh');
let ledger: Ledger;
let second: string;
let was: State;

/** The engine, and migrations written in SQL. */
const having =
  (migrations: Readonly<Record<string, string>>): Edit =>
  (checkout) => {
    const inFolder = (name: string) => join(checkout, folder, name);
    // The former engine's own.
    rmSync(inFolder('record.js'), { force: true });
    writeFileSync(inFolder('run.sh'), `exec bash '${engine}' --directory "$(dirname "$0")" "$@"\n`);
    for (const [id, sql] of Object.entries(migrations)) writeFileSync(inFolder(`${id}.sql`), `${sql};\n`);
  };

const noted = `update entries set note = note || ' noted'`;
const isNoted = (note: string) => note.endsWith(' noted');

/** What the table and the file say, each as `id: state`. */
async function recorded() {
  const rows = await ledger.sql('select id, state from holdfast.data_migrations order by id');
  const { migrations } = JSON.parse(
    readFileSync(join(ledger.directory, folder, 'registry.json'), 'utf8'),
  ) as {
    migrations: { id: string; status: string }[];
  };
  return {
    table: rows.map(({ id, state }) => `${String(id)}: ${String(state)}`),
    file: migrations.map(({ id, status }) => `${id}: ${status}`),
  };
}

beforeAll(async () => {
  ledger = await Ledger.install();
  second = await ledger.sandbox.publish(having({ '002_noted': noted }), { tag: 'v2' });
  await ledger.succeed('update');
  was = await ledger.capture();
});

afterAll(async () => {
  await ledger?.destroy();
});

test('what another engine had done is taken over, and each one runs once', async () => {
  expect(await recorded()).toEqual({
    table: ['001_open_accounts: COMPLETED', '002_noted: COMPLETED'],
    file: ['001_open_accounts: success', '002_noted: success'],
  });
  expect((await ledger.notes()).every(isNoted)).toBe(true);
});

test('a failure behind one that was applied takes both records of it back', async () => {
  await ledger.sandbox.publish(having({ '003_more': noted, '004_fails': 'select 1 / 0' }), { onto: second });
  expect(await ledger.run('update')).toMatchObject({
    exitCode: 10,
    result: { outcome: 'restored', failedStep: 'migrate-data' },
  });
  expect(differences(was, await ledger.capture())).toEqual([]);
});

test('so does a rollback; the next update runs it once more, on the rows of before', async () => {
  await ledger.sandbox.publish(having({ '003_more': noted }), { onto: second });
  await ledger.succeed('update');
  expect((await recorded()).table).toContain('003_more: COMPLETED');
  await ledger.succeed('rollback');
  expect(differences(was, await ledger.capture())).toEqual([]);
  expect(await ledger.run('data', 'status')).toMatchObject({ exitCode: 0, result: { ok: true } });

  const { events } = await ledger.run('update');
  expect(events.filter(({ type }) => type === 'warning')).toEqual([]);
  expect(await recorded()).toEqual({
    table: ['001_open_accounts: COMPLETED', '002_noted: COMPLETED', '003_more: COMPLETED'],
    file: ['001_open_accounts: success', '002_noted: success', '003_more: success'],
  });
  expect(await ledger.notes()).toEqual(expect.arrayContaining(['opening noted noted']));
});
