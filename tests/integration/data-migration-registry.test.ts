import { chmodSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { addOne, DataMigrations } from '../support/data-migrations.ts';

/* registry.json and the table: every way in which they differ, and what then counts. */

let appliance: DataMigrations;

beforeAll(async () => {
  appliance = await DataMigrations.start();
});

beforeEach(async () => {
  await appliance.reset();
  await appliance.sql("INSERT INTO users (name) VALUES ('Ada'), ('Alan')");
});

afterAll(async () => {
  await appliance?.stop();
});

const writeRegistry = (...entries: readonly [id: string, status: string][]) =>
  writeFileSync(
    appliance.registryFile,
    JSON.stringify({
      migrations: entries.map(([id, status]) => ({
        ...{ id, appliedAt: '2026-01-12T09:00:00.000Z', executionTimeMs: 12 },
        status,
      })),
    }),
  );

describe('registry and table', () => {
  beforeEach(() => {
    appliance.migration('001_one', addOne);
    appliance.migration('002_two', addOne);
  });

  test('killed between the commit in the table and the rename of the file: the line is written, nothing runs again', async () => {
    await appliance.run();
    await appliance.sql("UPDATE holdfast.data_migrations SET exported_at = NULL WHERE id = '002_two'");
    writeRegistry(['001_one', 'success']);
    expect(await appliance.run()).toMatchObject({ exitCode: 0, stderr: '' });
    expect(await appliance.numbers()).toEqual([2, 2]);
    expect(appliance.registry()).toEqual(['001_one success', '002_two success']);
  });

  test('a line that the operator took out: pending again, and told', async () => {
    await appliance.run();
    writeRegistry(['001_one', 'success']);
    const { stderr } = await appliance.run();
    expect(stderr).toContain('warning: 002_two was taken out of registry.json: it is pending again');
    expect(await appliance.numbers()).toEqual([3, 3]);
    expect(appliance.registry()).toEqual(['001_one success', '002_two success']);
  });

  test('a missing file is rebuilt from the table', async () => {
    await appliance.run();
    rmSync(appliance.registryFile);
    const { exitCode, stderr } = await appliance.run();
    expect(stderr).toContain(
      'registry.json is missing; it is rebuilt from the database, which knows 2 as applied',
    );
    expect(exitCode).toBe(0);
    expect(await appliance.numbers()).toEqual([2, 2]);
    expect(appliance.registry()).toEqual(['001_one success', '002_two success']);
  });

  test('an empty list against a full table is refused', async () => {
    await appliance.run();
    writeRegistry();
    const { exitCode, stderr } = await appliance.run();
    expect(stderr).toContain(
      'it is empty, and the database knows 2 data migrations that were applied. Nothing was run.',
    );
    expect(exitCode).toBe(2);
    expect(await appliance.numbers()).toEqual([2, 2]);
  });

  test('a line that the table lacks, as when another database was restored: pending, with a warning', async () => {
    await appliance.run();
    await appliance.sql("DELETE FROM holdfast.data_migrations WHERE id = '002_two'");
    const { stderr } = await appliance.run();
    expect(stderr).toContain('002_two is in registry.json, and this database knows nothing of it');
    expect(await appliance.numbers()).toEqual([3, 3]);
  });

  test('a status that was changed by hand counts', async () => {
    await appliance.run('--only', '1');
    writeRegistry(['001_one', 'failed']);
    const { stderr } = await appliance.run('--only', '1');
    expect(stderr).toContain('001_one was changed by hand in registry.json, from success to failed');
    expect(await appliance.numbers()).toEqual([2, 2]);
  });

  test('an appliance of an engine without a table: what its registry says is taken over', async () => {
    writeRegistry(['001_one', 'success']);
    expect(await appliance.run()).toMatchObject({ exitCode: 0, stderr: '' });
    expect(await appliance.numbers()).toEqual([1, 1]);
    expect(await appliance.states()).toEqual(['001_one COMPLETED', '002_two COMPLETED']);
    expect(readFileSync(appliance.registryFile, 'utf8')).toContain('2026-01-12T09:00:00.000Z');
  });

  const unreadable: Readonly<Record<string, readonly [text: string, message: string]>> = {
    'is no JSON': ['hello', 'it is not JSON'],
    'is cut off': ['{"migrations":[{"id":"001_one"', 'it is not JSON'],
    'is empty': ['', 'it is empty'],
    'has an unknown status': [
      '{"migrations":[{"id":"001_one","appliedAt":"2026-01-01T00:00:00Z","executionTimeMs":1,"status":"done"}]}',
      '("001_one") has the unknown "status" "done"',
    ],
  };
  test.for(Object.entries(unreadable))(
    'a file that %s is refused, and nothing runs',
    async ([, [text, message]]) => {
      writeFileSync(appliance.registryFile, text);
      for (const args of [[], ['--dry-run'], ['--status']]) {
        const { exitCode, stderr } = await appliance.run(...args);
        expect(stderr).toContain(message);
        expect(exitCode).toBe(2);
      }
      expect(await appliance.numbers()).toEqual([0, 0]);
      expect(readFileSync(appliance.registryFile, 'utf8')).toBe(text);
    },
  );

  test('a folder that may not be written to is refused before anything runs', async (context) => {
    if (process.geteuid?.() === 0) {
      context.skip('root may write everywhere; run as an ordinary user');
      return;
    }
    chmodSync(appliance.folder, 0o555);
    try {
      const { exitCode, stderr } = await appliance.run();
      expect(stderr).toContain('is not writable');
      expect(exitCode).toBe(2);
    } finally {
      chmodSync(appliance.folder, 0o755);
    }
    expect(await appliance.numbers()).toEqual([0, 0]);
  });
});

test('two appliances in one database, by ?schema=: the second is refused, and nothing is taken for done', async () => {
  await appliance.sql(`CREATE SCHEMA two; CREATE TABLE two.users (LIKE public.users INCLUDING ALL);
    INSERT INTO two.users (name) VALUES ('Ada')`);
  appliance.migration('001_x', addOne);
  expect(await appliance.run()).toMatchObject({ exitCode: 0 });
  rmSync(appliance.registryFile);
  const second = { DATABASE_URL: `${appliance.url}?schema=two` };
  for (const flags of [[], ['--dry-run'], ['--status']]) {
    const { exitCode, stderr } = await appliance.runWith(second, ...flags);
    expect(stderr).toContain('are those of the appliance in its schema "public", and this one is in "two"');
    expect(exitCode).toBe(2);
  }
  // Tables of an earlier version: whoever runs first has them; the sentence says how they are given over.
  await appliance.sql('DROP TABLE holdfast.data_migration_home');
  expect(await appliance.runWith({ DATABASE_URL: `${appliance.url}?schema=public` })).toMatchObject({
    exitCode: 0,
  });
  await appliance.sql(
    "UPDATE holdfast.data_migration_home SET schema = 'two'; TRUNCATE holdfast.data_migrations",
  );
  rmSync(appliance.registryFile);
  expect(await appliance.runWith(second)).toMatchObject({ exitCode: 0 });
  expect(await appliance.sql('SELECT n FROM two.users')).toEqual([{ n: 1 }]);
});
