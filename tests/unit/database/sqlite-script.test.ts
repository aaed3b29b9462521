import { DatabaseSync } from 'node:sqlite';
import { describe, expect, test } from 'vitest';
import { confine } from '../../../orchestrator/database/sqlite/confine.ts';
import { readContents } from '../../../orchestrator/database/sqlite/contents.ts';
import { findBrokenReferences, runScript } from '../../../orchestrator/database/sqlite/script.ts';

function make(sql: string): DatabaseSync {
  const database = new DatabaseSync(':memory:');
  database.exec(sql);
  return database;
}

const count = (database: DatabaseSync, table: string) =>
  database.prepare(`select count(*) as n from ${table}`).get()?.['n'];

/** Legal, as long as nobody enforces it. */
const mismatched = `
  pragma foreign_keys = off;
  create table parent (id integer primary key, code text);
  create table child (id integer primary key, code text references parent(code));
  create table other (id integer primary key, parent integer references parent(id));
  insert into child values (1, 'x'); insert into other values (1, 7), (2, 8);
  pragma foreign_keys = on;`;

describe('a foreign key that refers to what is no key', () => {
  test('is told, and keeps nobody from reading the others', () => {
    const database = make(mismatched);

    const found = [
      { name: 'child', rows: -1 },
      { name: 'other', rows: 2 },
    ];
    expect(findBrokenReferences(database)).toEqual(found);
    expect(readContents(database).brokenReferences).toEqual(found);
  });

  const rebuildOfOther = `PRAGMA foreign_keys=OFF;
    CREATE TABLE "new_other" (id integer primary key, parent integer references parent(id), note text);
    INSERT INTO "new_other" SELECT id, parent, 'n' FROM other;
    DROP TABLE other; ALTER TABLE "new_other" RENAME TO other;
    PRAGMA foreign_keys=ON;`;

  test('does not stop a script that has nothing to do with it', () => {
    const database = make(mismatched);

    runScript(database, rebuildOfOther);

    expect(database.prepare('select note from other').all()).toEqual([{ note: 'n' }, { note: 'n' }]);
  });

  test('is mended by a script that makes it one, whatever rows then refer to none', () => {
    const database = make(mismatched);

    runScript(database, 'PRAGMA foreign_keys=OFF; CREATE UNIQUE INDEX code ON parent(code);');

    expect(findBrokenReferences(database)).toEqual([
      { name: 'child', rows: 1 },
      { name: 'other', rows: 2 },
    ]);
  });

  test('is not brought in by one', () => {
    const database = make('create table parent (id integer primary key, code text);');

    expect(() => {
      runScript(
        database,
        'PRAGMA foreign_keys=OFF; CREATE TABLE child (code text references parent(code)); SELECT 1;',
      );
    }).toThrow(/child refers to what is no key/);
    expect(findBrokenReferences(database)).toEqual([]);
  });
});

test.for([
  ` foreign_keys=OFF`,
  ` foreign_keys='OFF'`,
  ` foreign_keys = "off"`,
  ` foreign_keys([no])`,
  ` foreign_keys('0')`,
  ` main."foreign_keys" = 'false'`,
  `"foreign_keys"=OFF`,
])('a rebuild under PRAGMA%s deletes no row that refers to the table', (words) => {
  const database = make(`
    create table parent (id integer primary key);
    create table child (parent integer references parent(id) on delete cascade);
    insert into parent values (1); insert into child values (1);`);

  runScript(
    database,
    `PRAGMA${words};
     CREATE TABLE new_parent (id integer primary key, note text);
     INSERT INTO new_parent SELECT id, '; PRAGMA foreign_keys=ON' FROM parent;
     DROP TABLE parent; ALTER TABLE new_parent RENAME TO parent;
     PRAGMA foreign_keys='ON';`,
  );

  expect(count(database, 'child')).toBe(1);
});

test.for(['ON', "'on'", '1', '"TRUE"'])('under PRAGMA foreign_keys=%s they are looked after', (word) => {
  const database = make(`
    create table parent (id integer primary key);
    create table child (parent integer references parent(id));`);

  expect(() => {
    runScript(
      database,
      `PRAGMA foreign_keys=${word}; INSERT INTO child VALUES (1); SELECT '; PRAGMA foreign_keys=OFF;';`,
    );
  }).toThrow(/FOREIGN KEY constraint failed/);
});

describe('a copy that a migration is tried on', () => {
  test.each([
    ["ATTACH '/data/live.db' AS live; DELETE FROM live.entries;", 'open /data/live.db'],
    ["ATTACH '/data/' || 'live.db' AS live;", 'open another database'],
    ['/* ; */ aTtAcH DATABASE "/data/live.db" AS live', 'open /data/live.db'],
    ["BEGIN; COMMIT; ATTACH '/data/live.db' AS live;", 'open /data/live.db'],
    ["VACUUM INTO '/data/copy.db'", 'open /data/copy.db'],
    ['DETACH live', 'DETACH live'],
  ])('reaches no other file: %s', (script, refused) => {
    const database = make('create table t (i)');
    confine(database);
    expect(() => runScript(database, script)).toThrow(`cannot ${refused}`);
    expect(database.isTransaction).toBe(false);
  });

  test('is a database like any other otherwise', () => {
    const database = make('create table t (i)');
    confine(database);
    runScript(database, 'VACUUM');
    runScript(
      database,
      'create temp table "attach" (i); drop table t; create virtual table f using fts5(a);',
    );
    expect(database.prepare("select name from sqlite_schema where name = 't'").get()).toBeUndefined();
  });
});
