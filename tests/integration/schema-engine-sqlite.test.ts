import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { bundleEngine, ensurePrismaCli, PrismaProject } from '../fixtures/schema-engine/prisma-project.ts';
import { scratchVariable } from '../../orchestrator/database/sqlite/confine.ts';
import { sqliteRows } from '../support/sqlite-state.ts';

/* Prisma's own command line over our engine, on a database in a file. */

let folder: string;
let project: PrismaProject;
let file: string;

beforeAll(async () => {
  await ensurePrismaCli();
  folder = mkdtempSync(join(tmpdir(), 'se sqlite-'));
  project = await PrismaProject.create(await bundleEngine(join(folder, 'engine')), 'sqlite');
});

afterAll(async () => {
  await project?.remove();
  rmSync(folder, { recursive: true, force: true });
});

beforeEach(() => {
  file = join(mkdtempSync(join(folder, 'case-')), 'app.db');
});

const prisma = async (...args: string[]) => await project.run(`file:${file}`, args);
const deploy = async () => await prisma('migrate', 'deploy');
const rows = (sql: string) => sqliteRows(file, sql);
const tables = () =>
  rows("select name from sqlite_schema where type = 'table' and name not like 'sqlite_%' order by 1").map(
    ({ name }) => name,
  );

const parentAndChild = `
CREATE TABLE "parent" ("id" INTEGER NOT NULL PRIMARY KEY, "name" TEXT NOT NULL);
CREATE TABLE "child" ("id" INTEGER NOT NULL PRIMARY KEY, "parentId" INTEGER NOT NULL,
  CONSTRAINT "child_parentId_fkey" FOREIGN KEY ("parentId") REFERENCES "parent" ("id") ON DELETE CASCADE ON UPDATE CASCADE);
INSERT INTO "parent" VALUES (1, 'a;b'), (2, 'it''s'); INSERT INTO "child" VALUES (10, 1), (20, 2);`;

/** As `prisma migrate` writes it for a column that becomes NOT NULL. */
const rebuild = `-- RedefineTables
PRAGMA defer_foreign_keys=ON;
PRAGMA foreign_keys=OFF;
CREATE TABLE "new_parent" ("id" INTEGER NOT NULL PRIMARY KEY, "name" TEXT NOT NULL, "extra" TEXT);
INSERT INTO "new_parent" ("id", "name") SELECT "id", "name" FROM "parent";
DROP TABLE "parent";
ALTER TABLE "new_parent" RENAME TO "parent";
PRAGMA foreign_keys=ON;
PRAGMA defer_foreign_keys=OFF;
`;

describe('migrate deploy', { timeout: 60_000 }, () => {
  test('runs scripts whole: triggers, quoted semicolons, comments, a table that is rebuilt under its children', async () => {
    await project.migrations({
      '1_tables': parentAndChild,
      '2_trigger': `/* ; */ CREATE TRIGGER "shout" AFTER INSERT ON "parent" BEGIN
        UPDATE "parent" SET "name" = "name" || ';!' WHERE "id" = NEW."id"; SELECT 1; END; -- ; the end
        INSERT INTO "parent" VALUES (3, 'é€😀');`,
      '3_rebuild': rebuild,
    });

    const result = await deploy();

    expect(result.output).toContain('All migrations have been successfully applied.');
    expect(result.exitCode).toBe(0);
    expect(rows('select name from parent order by id').map(({ name }) => name)).toEqual([
      'a;b',
      "it's",
      'é€😀;!',
    ]);
    expect(rows('select id from child order by id')).toEqual([{ id: 10 }, { id: 20 }]);
    expect(rows('pragma foreign_key_check')).toEqual([]);
    expect((await deploy()).output).toContain('No pending migrations to apply.');
  });

  test('a migration whose last statement fails leaves nothing but its failed row; the next deploy refuses', async () => {
    await project.migrations({
      '1_tables': parentAndChild,
      '2_bad': `${rebuild}\nDELETE FROM "child" WHERE "id" = 10;\nINSERT INTO "missing" VALUES (1);\n`,
    });

    const failed = await deploy();

    expect(failed.exitCode).toBe(1);
    expect(failed.output).toContain('Error: P3018');
    expect(failed.output).toContain('Migration name: 2_bad');
    expect(failed.output).toContain('no such table: missing');
    expect(tables()).toEqual(['_prisma_migrations', 'child', 'parent']);
    expect(rows("select name from pragma_table_info('parent')").map(({ name }) => name)).toEqual([
      'id',
      'name',
    ]);
    expect(rows('select id from child order by id')).toEqual([{ id: 10 }, { id: 20 }]);
    expect((await deploy()).output).toContain('Error: P3009');
  });

  test('rows that would refer to none after it take a migration back, those that did before do not', async () => {
    await project.migrations({
      '1_tables': `${parentAndChild}\n`,
      '2_orphan': 'PRAGMA foreign_keys=OFF;\nINSERT INTO "child" VALUES (30, 3);\n',
    });
    const failed = await deploy();
    expect(failed.output).toContain('rows would refer to none: 1 in child');
    expect(rows('select count(*) as n from child')).toEqual([{ n: 2 }]);

    const database = new DatabaseSync(file, { enableForeignKeyConstraints: false });
    database.exec(
      'insert into child values (40, 4); delete from _prisma_migrations where finished_at is null',
    );
    database.close();
    await project.migrations({ '1_tables': `${parentAndChild}\n`, '2_rebuild': rebuild });
    expect(await deploy()).toMatchObject({ exitCode: 0 });
    expect(rows('select count(*) as n from child')).toEqual([{ n: 3 }]);
  });

  test('VACUUM runs alone in its file; a transaction left open is refused, not lost in silence', async () => {
    await project.migrations({
      '1_alone': '-- alone\nVACUUM;',
      '2_own': 'BEGIN; CREATE TABLE a (i int); COMMIT; CREATE TABLE b (i int);',
      '3_open': 'BEGIN; CREATE TABLE c (i int);',
    });

    const result = await deploy();

    expect(result.output).toContain('begins a transaction and does not end it');
    expect(tables()).toEqual(['_prisma_migrations', 'a', 'b']);
  });

  test('of a copy, and in memory, no migration gets at another file; on the live one it does', async () => {
    const other = join(folder, 'other.db');
    const lines = new DatabaseSync(other);
    lines.exec('drop table if exists lines; create table lines (i int); insert into lines values (1), (2)');
    const left = () => lines.prepare('select count(*) as n from lines').get();
    await project.migrations({ '1_out': `ATTACH '${other}' AS live; DELETE FROM live.lines;` });
    const refused = `cannot open ${other} (ATTACH or VACUUM INTO)`;

    const tried = await project.run(`file:${file}`, ['migrate', 'deploy'], { [scratchVariable]: '1' });
    expect(tried).toMatchObject({ exitCode: 1, output: expect.stringContaining(refused) });
    const replay = ['--from-migrations', 'prisma/migrations', '--to-empty', '--script'];
    const replayed = await prisma('migrate', 'diff', ...replay);
    expect(replayed).toMatchObject({ exitCode: 1, output: expect.stringContaining(refused) });
    expect(left()).toEqual({ n: 2 });

    rmSync(file);
    await project.migrations({
      '1_out': `ATTACH '${other}' AS live; DELETE FROM live.lines;`,
    });
    expect(await deploy()).toMatchObject({ exitCode: 0 });
    expect(left()).toEqual({ n: 0 });
    lines.close();
  });

  test('of a database that is locked it says by whom', async () => {
    await project.migrations({ '1_tables': parentAndChild });
    await deploy();
    const holder = new DatabaseSync(file);
    holder.exec('begin exclusive');
    await project.migrations({ '1_tables': parentAndChild, '2_next': 'CREATE TABLE d (i int);' });

    const result = await deploy();
    holder.close();

    expect(result.exitCode).toBe(1);
    expect(result.output).toContain('database is locked');
    expect(result.output).toContain(`kill ${process.pid}`);
  });
});

test('status, resolve, diff, push, pull, dev and reset', { timeout: 120_000 }, async () => {
  await project.schema(
    'model Item {\n  id   Int    @id @default(autoincrement())\n  name String\n  at DateTime @default(now())\n}\n',
  );
  const script = await prisma(
    'migrate',
    'diff',
    '--from-empty',
    '--to-schema',
    'prisma/schema.prisma',
    '--script',
  );
  expect(script.output).toContain('CREATE TABLE "Item"');
  expect(existsSync(file)).toBe(false);
  const sql = script.output.slice(script.output.indexOf('-- CreateTable'));

  await project.migrations({ '1_item': sql, '2_bad': 'INSERT INTO missing VALUES (1);' });
  expect((await prisma('migrate', 'status')).output).toContain('P1003');
  await deploy();
  expect((await prisma('migrate', 'status')).output).toContain('Following migration have failed:\n2_bad');
  expect(await prisma('migrate', 'resolve', '--rolled-back', '2_bad')).toMatchObject({ exitCode: 0 });

  const second =
    'CREATE VIEW "v" AS SELECT 1; CREATE TABLE "Two" ("id" INTEGER NOT NULL PRIMARY KEY); DROP TABLE "Two"; DROP VIEW "v";';
  await project.migrations({ '1_item': sql, '3_more': second });
  const between = [
    'migrate',
    'diff',
    '--from-migrations',
    'prisma/migrations',
    '--to-schema',
    'prisma/schema.prisma',
  ];
  expect((await prisma(...between, '--exit-code')).output).toContain('No difference detected');
  expect((await prisma('db', 'pull', '--print')).output).toContain('model Item');

  await project.schema(
    'model Item {\n  id   Int    @id @default(autoincrement())\n  name String @unique\n  at DateTime @default(now())\n  more Int?\n}\n',
  );
  expect(await prisma('db', 'push', '--accept-data-loss')).toMatchObject({ exitCode: 0 });
  expect(rows("select name from pragma_table_info('Item')").map(({ name }) => name)).toContain('more');

  const reset = await prisma('migrate', 'reset', '--force');
  expect(reset.output).toContain('successful');
  expect(reset).toMatchObject({ exitCode: 0 });
  expect(tables()).toEqual(['Item', '_prisma_migrations']);
  await project.schema(
    'model Item {\n  id   Int    @id @default(autoincrement())\n  name String\n  at DateTime @default(now())\n  more Int?\n}\n',
  );
  const dev = await prisma('migrate', 'dev', '--name', 'more');
  expect(dev.output).toContain('now in sync');
  expect(readdirSync(join(project.folder, 'prisma/migrations'))).toContainEqual(
    expect.stringContaining('_more'),
  );
  expect(readFileSync(file).subarray(0, 15).toString()).toBe('SQLite format 3');
});
