import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { SqliteMigrations } from '../support/data-migrations-sqlite.ts';
import { ended, untilItSays } from '../support/data-migrations.ts';

/* `context.addColumnWithDefault` on SQLite, which makes a column NOT NULL only in a table that is made anew. */

let app: SqliteMigrations;
beforeAll(async () => void (app = await SqliteMigrations.start()), 60_000);
beforeEach(() => app.reset());
afterAll(() => app.stop());

const hashOf = (file: string): string => createHash('sha256').update(readFileSync(file)).digest('hex');

const slug = `{ table: 'users', column: 'the slug', type: 'text', default: "'none'", value: "'user-' || id", size: 50 }`;
const adds = (...options: readonly string[]) =>
  `  async up(prisma, { addColumnWithDefault }) {
${options.map((one) => `    await addColumnWithDefault(${one});`).join('\n')}
  },`;
const column = (table: string, name: string) =>
  app.sql(`SELECT "notnull", dflt_value FROM pragma_table_xinfo('${table}') WHERE name = '${name}'`);
const whole = [{ notnull: 1, dflt_value: `'none'` }];
const nullable = [{ notnull: 0, dflt_value: null }];

/** Of everything that goes with a table, some; with a row that breaks a foreign key, as SQLite lets them. */
const RICH = `
  PRAGMA foreign_keys = OFF;
  CREATE TABLE "odd ""names" ( -- DEFAULT 1, NOT NULL
    [the id] INTEGER PRIMARY KEY AUTOINCREMENT, "check" TEXT NOT NULL DEFAULT ('a,b)' || '"') COLLATE NOCASE,
    size INT DEFAULT -1 REFERENCES "odd ""names" ("the id") ON DELETE SET DEFAULT,
    twice INT GENERATED ALWAYS AS (size * 2) STORED, thrice AS (size * 3), "new,er" /* , */ TEXT DEFAULT ('x' || (1)) -- ends )
    , UNIQUE ("check", size) ON CONFLICT REPLACE, CHECK (size <> 7), FOREIGN KEY (size) REFERENCES users (id)
  );
  CREATE TABLE child (id INTEGER PRIMARY KEY, of INT REFERENCES "odd ""names" ON DELETE CASCADE);
  CREATE TABLE seen (what TEXT);
  CREATE INDEX by_size ON "odd ""names" (size DESC, lower("check")) WHERE size > 1;
  CREATE UNIQUE INDEX unique_twice ON "odd ""names" (twice);
  CREATE VIEW wide AS SELECT "the id", size FROM "odd ""names";
  CREATE TRIGGER wide_insert INSTEAD OF INSERT ON wide BEGIN INSERT INTO "odd ""names" (size) VALUES (new.size); END;
  CREATE TRIGGER on_insert AFTER INSERT ON "odd ""names" BEGIN INSERT INTO seen VALUES ('in'); END;
  CREATE TRIGGER on_delete BEFORE DELETE ON "odd ""names" BEGIN INSERT INTO seen VALUES ('out'); END;
  CREATE TRIGGER on_seen AFTER INSERT ON child BEGIN UPDATE "odd ""names" SET size = size WHERE "the id" = new.of; END;
  INSERT INTO "odd ""names" ("the id", "check", size, "new,er") VALUES (3, 'c', 3, NULL), (9, 'i', 9, 'kept');
  INSERT INTO "odd ""names" ("the id", size) VALUES (500, 500); DELETE FROM "odd ""names" WHERE "the id" = 500;
  DELETE FROM seen;
  INSERT INTO child VALUES (1, 3), (2, 9), (3, 77);
  CREATE TABLE strict (a TEXT NOT NULL, b ANY NOT NULL, PRIMARY KEY (a, b)) STRICT, WITHOUT ROWID;
  INSERT INTO strict VALUES ('x', 1), ('x', '1'), ('y', 2.5);
  CREATE TABLE keyless (oid TEXT, code INT NOT NULL UNIQUE);
  INSERT INTO keyless (rowid, code) VALUES (5, 50), (1000000000000, 10);
  ANALYZE;`;

test('all that belongs to a table is as it was, but for the column; a dry run leaves the file as it is', async () => {
  app.sql('PRAGMA journal_mode = delete');
  const database = app.open();
  database.exec(RICH);
  const schema = () =>
    app
      .sql('SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY type, name')
      .filter(({ name }) => !String(name).includes('holdfast'));
  const rest = () => schema().filter(({ name, type }) => type !== 'table' || /child|seen/.test(String(name)));
  const rows = () => [
    app.sql('SELECT "the id", "check", size, twice, thrice FROM "odd ""names"'),
    app.sql('SELECT rowid, oid, code FROM keyless ORDER BY rowid'),
    app.sql('SELECT a, typeof(b) AS t, b FROM strict'),
    ...[app.sql('SELECT * FROM child'), app.sql('SELECT * FROM seen'), app.sql('SELECT * FROM wide')],
    app.sql('SELECT * FROM sqlite_sequence ORDER BY name'),
    app.sql("SELECT * FROM sqlite_stat1 WHERE tbl NOT LIKE 'holdfast%' ORDER BY tbl, idx"),
  ];
  const [restBefore, before] = [rest(), rows()];
  database.close();
  app.migration(
    '001_rich',
    adds(
      `{ table: 'ODD "names', column: 'NEW,er', type: 'TEXT', default: "'none'", value: '"check" || size' }`,
      `{ table: 'strict', column: 'added', type: 'INTEGER', default: 'abs(-4)', value: 'length(a)', size: 1 }`,
      `{ table: 'keyless', column: 'at', type: 'TEXT', default: 'CURRENT_TIMESTAMP', key: 'code' }`,
    ),
  );
  const hash = hashOf(app.file);
  const tried = await app.run('--dry-run');
  expect(tried.exitCode).toBe(0);
  expect(tried.stdout).toContain('! table strict gets other columns: (a, b) becomes (a, b, added)');
  expect([hashOf(app.file), app.beside()]).toEqual([hash, ['inventory.db']]);

  const { exitCode, stderr } = await app.run();
  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
  expect(rows()).toEqual(before);
  expect(rest()).toEqual(restBefore);
  expect(column('odd "names', 'new,er')).toEqual(whole);
  expect(column('strict', 'added')).toEqual([{ notnull: 1, dflt_value: 'abs(-4)' }]);
  expect(column('keyless', 'at')).toEqual([{ notnull: 1, dflt_value: 'CURRENT_TIMESTAMP' }]);
  const text = (name: string) => String(schema().find((one) => one.name === name)?.['sql']);
  expect(text('odd "names')).toBe(
    RICH.slice(RICH.indexOf('CREATE TABLE "odd'), RICH.indexOf(';\n  CREATE TABLE child')).replace(
      `DEFAULT ('x' || (1)) --`,
      ` NOT NULL DEFAULT 'none' --`,
    ),
  );
  expect(text('strict')).toContain(
    '"added" INTEGER NOT NULL DEFAULT (abs(-4)), PRIMARY KEY (a, b)) STRICT, WITHOUT ROWID',
  );
  app.sql(`INSERT INTO wide (size) VALUES (NULL)`);
  expect(app.sql('SELECT "the id" AS id, "new,er" AS n FROM "odd ""names"')).toEqual([
    ...[
      { id: 3, n: 'c3' },
      { id: 9, n: 'kept' },
      { id: 501, n: 'none' },
    ],
  ]);
  expect(app.sql('SELECT added FROM strict')).toEqual([{ added: 1 }, { added: 1 }, { added: 1 }]);
  expect(app.sql('PRAGMA integrity_check')).toEqual([{ integrity_check: 'ok' }]);
});

test('killed among the rows, and in the middle of the new table: the old one is there, and the next run goes on', async () => {
  // So many that a kill comes before their end, however quick the machine is.
  const many = 50_000;
  // A row whose n is not 0 takes long to come into a new table, and none to be filled.
  app.sql('DROP TABLE users');
  app.sql(`CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT, n INT DEFAULT 0,
    CHECK (n = 0 OR length(hex(zeroblob(100000000 + n))) > 0))`);
  app.fill(many);
  app.sql('CREATE TABLE filled (id INTEGER)');
  app.migration('001_slug', adds(slug));
  const killAt = async (said: string, afterMs: number): Promise<void> => {
    const child = app.start(['--json']);
    const end = ended(child);
    await untilItSays(child, said);
    await sleep(afterMs);
    process.kill(-(child.pid ?? 0), 'SIGKILL');
    await end;
  };
  await killAt('migration-progress', 0);
  expect(column('users', 'the slug')).toEqual(nullable);
  expect(app.sql('SELECT count(*) AS n FROM users WHERE "the slug" IS NULL')).not.toEqual([{ n: 0 }]);
  // An older release does not know of the column.
  app.sql(`INSERT INTO users (id, name) VALUES (-5, 'early')`);
  const database = app.open();
  database.exec('PRAGMA ignore_check_constraints = 1; UPDATE users SET n = 1 WHERE id > 4900 AND id <= 5000');
  // Counts what is written twice.
  database.exec(
    'CREATE TRIGGER count_filled AFTER UPDATE OF "the slug" ON users BEGIN INSERT INTO filled VALUES (new.id); END',
  );
  const left = app.sql('SELECT count(*) AS n FROM users WHERE "the slug" IS NULL');
  database.close();

  await killAt('makes the table users anew', 300);
  expect(column('users', 'the slug')).toEqual(nullable);
  expect(app.sql(`SELECT name FROM sqlite_schema WHERE name LIKE 'holdfast_anew%'`)).toEqual([]);
  expect(app.sql('SELECT count(*) AS n FROM users')).toEqual([{ n: many + 1 }]);
  app.sql('UPDATE users SET n = 0 WHERE n > 0');

  const last = await app.run('--json');
  expect(last.exitCode).toBe(0);
  expect(column('users', 'the slug')).toEqual(whole);
  expect(app.sql(`SELECT count(*) AS n FROM users WHERE "the slug" IS 'user-' || id`)).toEqual([
    { n: many + 1 },
  ]);
  expect(app.sql('SELECT count(*) AS n, count(DISTINCT id) AS ids FROM filled')).toEqual([
    { n: left[0]?.['n'], ids: left[0]?.['n'] },
  ]);

  // Killed behind its last step, before that is on record.
  const made = app.sql(`SELECT rootpage FROM sqlite_schema WHERE name = 'users'`);
  app.sql(`UPDATE holdfast_data_migrations SET state = 'RUNNING', exported_at = NULL`);
  expect((await app.run()).stdout).toContain('was interrupted; goes on');
  expect(app.sql(`SELECT rootpage FROM sqlite_schema WHERE name = 'users'`)).toEqual(made);
  expect(app.sql('SELECT rows FROM holdfast_data_migrations')).toEqual([{ rows: many }]);
});

test('a constant is there at once and writes no row; a default or NOT NULL that a schema migration left out is added', async () => {
  app.fill(3);
  app.sql('CREATE TABLE keyless (a TEXT)');
  app.sql(`INSERT INTO keyless VALUES ('x')`);
  app.sql(`CREATE TABLE late (id INTEGER PRIMARY KEY, c TEXT NOT NULL DEFAULT 'old', d TEXT,
    up INTEGER REFERENCES users (id) ON DELETE SET DEFAULT ON UPDATE CASCADE)`);
  app.sql(`INSERT INTO late (d) VALUES (NULL), ('own')`);
  app.migration(
    '001_constants',
    adds(
      `{ table: 'users', column: 'slug', type: 'text', default: "'it''s'" }`,
      `{ table: 'keyless', column: 'n', type: 'integer', default: '-1.5e3', value: ' -1.5e3' }`,
      `{ table: 'keyless', column: 'yes', type: 'boolean', default: 'true' }`,
      `{ table: 'late', column: 'c', type: 'text', default: "'none'" }`,
      `{ table: 'late', column: 'd', type: 'text', default: "'none'" }`,
      `{ table: 'late', column: 'parent', type: 'integer REFERENCES users (id)', default: '2' }`,
      `{ table: 'late', column: 'up', type: 'integer', default: '1 + 0', value: '3' }`,
    ),
  );
  expect(await app.run()).toMatchObject({ exitCode: 0, stderr: '' });
  const made = app.sql(
    `SELECT name, sql FROM sqlite_schema WHERE name IN ('users', 'keyless') ORDER BY name`,
  );
  // A table that was made anew has its name in quotes.
  expect(made[0]?.['sql']).toBe(
    'CREATE TABLE keyless (a TEXT, "n" integer NOT NULL DEFAULT -1.5e3, "yes" boolean NOT NULL DEFAULT true)',
  );
  expect(made[1]?.['sql']).toMatch(/^CREATE TABLE users .*"slug" text NOT NULL DEFAULT 'it''s'\)?/s);
  expect(app.sql('SELECT batch FROM holdfast_data_migration_batches ORDER BY 1')).toEqual([
    { batch: 'late.d' },
    { batch: 'late.parent' },
    { batch: 'late.up' },
  ]);
  expect(app.sql('SELECT * FROM keyless')).toEqual([{ a: 'x', n: -1500, yes: 1 }]);
  app.sql('INSERT INTO late (id) VALUES (9)');
  expect(app.sql('SELECT * FROM late')).toEqual([
    { id: 1, c: 'old', d: 'none', up: 3, parent: 2 },
    { id: 2, c: 'old', d: 'own', up: 3, parent: 2 },
    { id: 9, c: 'none', d: 'none', up: 1, parent: 2 },
  ]);
  expect(
    app.sql(`SELECT on_update, on_delete FROM pragma_foreign_key_list('late') WHERE "from" = 'up'`),
  ).toEqual([{ on_update: 'CASCADE', on_delete: 'SET DEFAULT' }]);
  expect(column('late', 'parent')).toEqual([{ notnull: 1, dflt_value: '2' }]);
});

test('what cannot be done is refused before anything is', async () => {
  app.fill(1);
  const database = app.open();
  database.exec(`CREATE VIEW seen AS SELECT 1 AS a;
    CREATE TABLE generated (id INTEGER PRIMARY KEY, g AS (id + 1));
    CREATE TABLE hidden (rowid TEXT NOT NULL UNIQUE, _rowid_ TEXT, oid TEXT);
    CREATE TABLE checked (id INTEGER PRIMARY KEY, a INT CHECK (checked.a > 0));
    CREATE TABLE keyless (a TEXT);
    CREATE TABLE gaps (id INTEGER PRIMARY KEY, a TEXT); INSERT INTO gaps VALUES (1, 'x'), (2, NULL);
    CREATE TABLE orders (id INTEGER PRIMARY KEY, buyer INTEGER REFERENCES users (id)); INSERT INTO orders (id) VALUES (1);
    CREATE TRIGGER late AFTER UPDATE ON orders WHEN new.id = 1 BEGIN INSERT INTO orders (id) VALUES (-99); END;`);
  const schema = () =>
    app.sql(
      `SELECT name, sql FROM sqlite_schema WHERE name NOT LIKE '%holdfast%' AND name <> 'gaps' ORDER BY name`,
    );
  const before = schema();
  database.close();
  app.migration(
    '001_cannot',
    `  async up(prisma, { addColumnWithDefault, batch, log }) {
    const add = async (table, more = {}) =>
      await addColumnWithDefault({ table, column: 'c', type: 'text', default: "'a'", value: "'b'", ...more }).catch(
        (error) => log('refused: ' + error.message.replaceAll(/\\s+/g, ' ')));
    await add('none');
    await add('seen');
    await add('generated', { column: 'g' });
    await add('hidden', { key: 'rowid' });
    await add('checked');
    await add('keyless');
    await add('gaps', { value: 'a' });
    await add('orders', { column: 'buyer', type: 'integer', default: '1', value: 'id' });
    await prisma.$transaction(async (tx) => { await tx.user.count(); await add('users'); });
    await batch({ table: 'users', up: async () => { await add('users'); } });
  },`,
  );
  const { exitCode, stdout } = await app.runWith({ DATA_MIGRATION_BUSY_TIMEOUT: '10m' });
  expect(exitCode).toBe(0);
  for (const said of [
    'there is no table none',
    'seen is no table with rows of its own (view)',
    'g of generated is generated',
    'hidden cannot be made anew (its columns hide the numbers of its rows); give the new column a constant',
    'checked cannot be made anew (no such column: checked.a)',
    'keyless has no primary key; name a unique "key"',
    '1 rows of gaps get null for c by a; give them a value',
    'foreign keys of orders would not hold any more (orders: 1; before: orders: 0)',
    'a batch waits for the $transaction that it is called in',
    'waits for its own batch',
  ])
    expect(stdout).toContain(said);
  expect(stdout.match(/refused: /g)).toHaveLength(10);
  expect(schema()).toEqual(before);
  expect(app.sql('SELECT id, buyer FROM orders')).toEqual([
    { id: -99, buyer: null },
    { id: 1, buyer: 1 },
  ]);

  // Nobody would see what it fails of.
  app.reset();
  app.migration('001_not_awaited', adds(slug).replace('await ', ''));
  expect((await app.run()).stderr).toContain(
    'without waiting for addColumnWithDefault users.the slug: put "await"',
  );
});
