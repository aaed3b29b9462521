import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { Harness } from '../fixtures/schema-engine/harness.ts';
import { waitUntil } from '../fixtures/schema-engine/postgres-server.ts';

const deploy = ['migrate', 'deploy'];
let harness: Harness;

beforeAll(async () => {
  harness = await Harness.start();
}, 180_000);

afterAll(async () => {
  await harness?.stop();
}, 30_000);

beforeEach(async () => {
  await harness.server.recreate(harness.database);
});

describe('migrate deploy', { timeout: 60_000 }, () => {
  test('sends each script whole: function bodies, DO blocks, quoted semicolons, comments, odd characters', async () => {
    await harness.project.migrations({
      '1_table':
        'CREATE TABLE "Item" (id int PRIMARY KEY, name text NOT NULL); -- a comment; with a semicolon',
      '2_function': `/* ; */ CREATE FUNCTION shout() RETURNS trigger LANGUAGE plpgsql AS $body$
        BEGIN NEW.name := NEW.name || ';!'; RETURN NEW; END; $body$;
        CREATE TRIGGER shout BEFORE INSERT ON "Item" FOR EACH ROW EXECUTE FUNCTION shout();`,
      '3_block': `DO $$ DECLARE i int; BEGIN FOR i IN 1..2 LOOP INSERT INTO "Item" VALUES (i, 'a;b'); END LOOP; END $$;
        INSERT INTO "Item" VALUES (3, 'it''s; é€😀 \u2028 \u2029');`,
    });

    const result = await harness.project.run(harness.url, deploy);

    expect(result.output).toContain('All migrations have been successfully applied.');
    expect(result.exitCode).toBe(0);
    expect(await harness.server.query(harness.database, 'SELECT name FROM "Item" ORDER BY id')).toEqual([
      { name: 'a;b;!' },
      { name: 'a;b;!' },
      { name: "it's; é€😀 \u2028 \u2029;!" },
    ]);
    expect((await harness.project.run(harness.url, deploy)).output).toContain(
      'No pending migrations to apply.',
    );
  });

  test('a migration whose last statement fails leaves nothing but its failed row; the next deploy refuses', async () => {
    await harness.project.migrations({
      '1_good': 'CREATE TABLE kept (i int);',
      '2_bad': 'CREATE TABLE half (i int);\nINSERT INTO kept VALUES (1);\nINSERT INTO missing VALUES (1);\n',
    });

    const failed = await harness.project.run(harness.url, deploy);

    expect(failed.exitCode).toBe(1);
    expect(failed.output).toContain('Error: P3018');
    expect(failed.output).toContain('Migration name: 2_bad');
    expect(failed.output).toContain('Database error code: 42P01');
    expect(failed.output).toContain('ERROR: relation "missing" does not exist');
    expect(failed.output).toContain('>   3 INSERT INTO missing VALUES (1);');
    expect(await harness.tables()).toEqual(['_prisma_migrations', 'kept']);
    expect(await harness.server.query(harness.database, 'SELECT * FROM kept')).toEqual([]);
    expect(await harness.history()).toEqual(['1_good applied', '2_bad failed']);

    const refused = await harness.project.run(harness.url, deploy);
    expect(refused.exitCode).toBe(1);
    expect(refused.output).toContain('Error: P3009');
  });

  test('CREATE INDEX CONCURRENTLY works alone in its file and fails as PostgreSQL says in company', async () => {
    await harness.project.migrations({
      '1_table': 'CREATE TABLE t (i int);',
      '2_index': '-- alone\nCREATE INDEX CONCURRENTLY t_i ON t (i);',
      '3_company': 'CREATE INDEX CONCURRENTLY t_j ON t (i); CREATE TABLE u (i int);',
    });

    const result = await harness.project.run(harness.url, deploy);

    expect(result.output).toContain('Database error code: 25001');
    expect(await harness.history()).toEqual(['1_table applied', '2_index applied', '3_company failed']);
  });

  test('BEGIN and COMMIT mean what PostgreSQL says; a transaction left open is refused, not lost in silence', async () => {
    await harness.project.migrations({
      '1_own': 'BEGIN; CREATE TABLE a (i int); COMMIT; CREATE TABLE b (i int);',
      '2_open': 'BEGIN; CREATE TABLE c (i int);',
    });

    const result = await harness.project.run(harness.url, deploy);

    expect(result.exitCode).toBe(1);
    expect(result.output).toContain('begins a transaction and does not end it');
    expect(await harness.tables()).toEqual(['_prisma_migrations', 'a', 'b']);
    expect(await harness.history()).toEqual(['1_own applied', '2_open failed']);
  });

  test('a dump that empties search_path does not hide the table of migrations', async () => {
    await harness.project.migrations({
      '1_dump': "SELECT pg_catalog.set_config('search_path', '', false); CREATE TABLE public.a (i int);",
      '2_next': 'INSERT INTO a VALUES (1);',
    });

    expect((await harness.project.run(harness.url, deploy)).exitCode).toBe(0);
    expect(await harness.history()).toEqual(['1_dump applied', '2_next applied']);
  });

  test('works over a Unix socket with a space in its path, in another schema, under the given name', async () => {
    await harness.project.migrations({
      '1_name': "CREATE TABLE seen AS SELECT current_setting('application_name') AS name;",
    });
    const socket = encodeURIComponent(harness.server.socketFolder);
    const address = `postgresql://postgres@localhost:${harness.server.port}/${harness.database}?host=${socket}&schema=shop`;

    const result = await harness.project.run(address, deploy, { PGAPPNAME: 'holdfast:test' });

    expect(result.output).toContain('All migrations have been successfully applied.');
    expect(await harness.server.query(harness.database, 'SELECT name FROM shop.seen')).toEqual([
      { name: 'holdfast:test' },
    ]);
    expect(
      await harness.server.query(harness.database, 'SELECT migration_name FROM shop._prisma_migrations'),
    ).toHaveLength(1);
  });

  test('two at once: one applies, the other waits and finds nothing to do', async () => {
    await harness.project.migrations({ '1_slow': 'CREATE TABLE slow (i int); SELECT pg_sleep(1.5);' });

    const first = harness.project.start(harness.url, deploy);
    await waitUntil('the first applies', async () => await harness.isRunning('pg_sleep'));
    const second = await harness.project.run(harness.url, deploy);

    expect((await first.result).output).toContain('All migrations have been successfully applied.');
    expect(second.output).toContain('No pending migrations to apply.');
    expect(second.exitCode).toBe(0);
    expect(await harness.history()).toEqual(['1_slow applied']);
  });
});

describe('interrupted', { timeout: 60_000 }, () => {
  const slow = { '1_slow': 'CREATE TABLE slow (i int); SELECT pg_sleep(60);' };

  async function interrupt(kill: (cliPid: number, enginePid: number) => void) {
    await harness.project.migrations(slow);
    const running = harness.project.start(harness.url, deploy);
    await waitUntil('the migration runs', async () => await harness.isRunning('pg_sleep'));
    kill(running.pid, Number(await readFile(join(harness.engineFolder, 'engine.pid'), 'utf8')));
    const result = await running.result;
    await waitUntil('the session has ended', async () => !(await harness.isRunning('pg_sleep')));
    expect(await harness.tables()).toEqual(['_prisma_migrations']);
    return result;
  }

  test('the CLI killed: the engine ends its session on the server, and Prisma’s lock with it', async () => {
    await interrupt((cli) => process.kill(cli, 'SIGKILL'));
    expect(await harness.history()).toEqual(['1_slow failed']);
    const locks = await harness.server.query(
      'postgres',
      "SELECT 1 FROM pg_locks WHERE locktype = 'advisory'",
    );
    expect(locks).toEqual([]);
  });

  test('the engine asked to stop: the CLI is told why and exits 1', async () => {
    const result = await interrupt((_cli, engine) => process.kill(engine, 'SIGTERM'));
    expect(result.output).toContain('cannot finish applyMigrations: ended by SIGTERM');
    expect(result.exitCode).toBe(1);
  });

  // No exit code is expected: Prisma's CLI 7.10 exits 0 when its engine vanishes. Hence the check of the history.
  test('the engine killed: the server ends the session by itself, and the history does not say applied', async () => {
    await interrupt((_cli, engine) => process.kill(engine, 'SIGKILL'));
    expect(await harness.history()).toEqual(['1_slow failed']);
  });
});
