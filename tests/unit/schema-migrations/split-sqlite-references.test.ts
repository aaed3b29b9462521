import { DatabaseSync } from 'node:sqlite';
import { expect, test } from 'vitest';
import { runScript } from '../../../orchestrator/database/sqlite/script.ts';
import { verifyAppliesInOrder } from '../../../orchestrator/schema-migrations/split/replay.ts';
import { splitSqliteByTable } from '../../../orchestrator/schema-migrations/split/split-by-table.ts';

/*
 * Prisma's script runs without foreign keys from its first to its last line, and they are looked at when it is over. Taken
 * apart, they are looked at after each file.
 */

/** As Prisma writes them between one pair of PRAGMAs. */
const rebuilds = (...tables: readonly (readonly [name: string, definition: string, columns: string])[]) =>
  [
    'PRAGMA defer_foreign_keys=ON;\nPRAGMA foreign_keys=OFF;',
    ...tables.map(
      ([name, definition, columns]) => `CREATE TABLE "new_${name}" (${definition});
INSERT INTO "new_${name}" (${columns}) SELECT ${columns} FROM "${name}";
DROP TABLE "${name}";
ALTER TABLE "new_${name}" RENAME TO "${name}";`,
    ),
    'PRAGMA foreign_keys=ON;\nPRAGMA defer_foreign_keys=OFF;\n',
  ].join('\n');
const drops = (...tables: readonly string[]) =>
  tables.map((name) => `PRAGMA foreign_keys=off;\nDROP TABLE "${name}";\nPRAGMA foreign_keys=on;\n`).join('');

const id = '"id" INTEGER NOT NULL PRIMARY KEY';
const plain = `${id}, "code" INTEGER`;
const to = (table: string, column = 'code') =>
  `${id}, "code" INTEGER, FOREIGN KEY ("code") REFERENCES "${table}" ("${column}") ON DELETE SET NULL`;
const tables = (...some: readonly (readonly [name: string, definition: string])[]) =>
  some.map(([name, definition]) => `CREATE TABLE "${name}" (${definition});\n`).join('');
const unique = (table: string, index = `${table}_code_key`) =>
  `CREATE UNIQUE INDEX "${index}" ON "${table}"("code");\n`;
const rows = (...some: readonly string[]) =>
  some.map((name) => `INSERT INTO "${name}" ("id", "code") VALUES (1, 7), (2, 8);\n`).join('');

function open(history: string, inserts: string): DatabaseSync {
  const database = new DatabaseSync(':memory:');
  database.exec(`${history}${inserts}`);
  return database;
}

const contentsOf = (database: DatabaseSync) => {
  const schema = database.prepare('SELECT type, name, sql FROM sqlite_schema ORDER BY type, name').all();
  const names = schema.filter(({ type }) => type === 'table').map(({ name }) => String(name));
  return { schema, rows: names.map((name) => database.prepare(`SELECT * FROM "${name}"`).all()) };
};

const cases: readonly [
  what: string,
  given: { history: string; inserts: string; script: string },
  names: string[],
][] = [
  [
    'a unique index comes before what refers to it',
    {
      history: tables(['B_child', plain], ['Z_parent', plain]),
      inserts: rows('B_child', 'Z_parent'),
      script: rebuilds(['B_child', to('Z_parent'), '"code", "id"']) + unique('Z_parent'),
    },
    ['update_z_parent', 'update_b_child'],
  ],
  [
    'a new table comes after what it refers to, in any spelling',
    {
      history: tables(['z_Parent', plain]),
      inserts: rows('Z_parent'),
      script: tables(['B_child', to('Z_PARENT')]) + unique('Z_parent'),
    },
    ['update_z_parent', 'create_b_child'],
  ],
  [
    'a reference goes before the index that it needs',
    {
      history: tables(['A_parent', plain], ['B_child', to('A_parent')]) + unique('A_parent'),
      inserts: rows('A_parent', 'B_child'),
      script: `DROP INDEX "A_parent_code_key";\n${rebuilds(['A_parent', id, '"id"'], ['B_child', plain, '"code", "id"'])}`,
    },
    ['update_b_child', 'update_a_parent'],
  ],
  [
    'a table that refers to another is dropped before it',
    {
      history: tables(['A_parent', plain], ['B_child', to('A_parent', 'id')]),
      inserts: `${rows('A_parent')}INSERT INTO "B_child" VALUES (1, 2);`,
      script: drops('A_parent', 'B_child'),
    },
    ['drop_b_child', 'drop_a_parent'],
  ],
  [
    'and so is one that loses its reference',
    {
      history: tables(['A_parent', plain], ['B_child', to('A_parent')]) + unique('A_parent'),
      inserts: rows('A_parent', 'B_child'),
      script: drops('A_parent') + rebuilds(['B_child', plain, '"code", "id"']),
    },
    ['update_b_child', 'drop_a_parent'],
  ],
  [
    'a reference that stays asks for no order',
    {
      history: tables(['A_parent', plain], ['B_child', to('A_parent')]) + unique('A_parent'),
      inserts: rows('A_parent', 'B_child'),
      script:
        rebuilds(
          ['A_parent', `${plain}, "note" TEXT NOT NULL DEFAULT ''`, '"code", "id"'],
          ['B_child', `"note" TEXT NOT NULL DEFAULT '', ${to('A_parent')}`, '"code", "id"'],
        ) + unique('A_parent'),
    },
    ['update_a_parent', 'update_b_child'],
  ],
  [
    'tables of which each has to come before the other share a file',
    {
      history:
        tables(['A_parent', '"code" INTEGER'], ['B_child', to('A_parent')], ['C', plain]) +
        unique('A_parent'),
      inserts: `INSERT INTO "A_parent" VALUES (7), (8);${rows('B_child')}`,
      script:
        rebuilds(['A_parent', id, '"rowid"'], ['B_child', to('A_parent', 'id'), '"code", "id"']).replace(
          '("rowid") SELECT "rowid"',
          '("id") SELECT "code"',
        ) + 'ALTER TABLE "C" ADD COLUMN "note" TEXT;',
    },
    ['update_a_parent_and_b_child', 'update_c'],
  ],
  [
    'new tables that refer to each other, too',
    {
      history: '',
      inserts: '',
      script:
        tables(['A', to('B')], ['B', to('C')], ['C', to('A')]) +
        ['A', 'B', 'C'].map((one) => unique(one)).join(''),
    },
    ['create_a_and_2_others'],
  ],
  [
    'a table that refers to itself waits for nothing',
    {
      history: tables(['A', plain], ['B', plain]),
      inserts: rows('A'),
      script: rebuilds(['A', to('A'), '"code", "id"']) + unique('A') + unique('B'),
    },
    ['update_a', 'update_b'],
  ],
];

test.each(cases)('%s', async (_, { history, inserts, script }, names) => {
  const made = await splitSqliteByTable(script, history);
  expect(made.map(({ name }) => name)).toEqual(names);
  const [whole, parts] = [open(history, inserts), open(history, inserts)];
  runScript(whole, script);
  for (const { sql } of made) runScript(parts, sql);
  expect(contentsOf(parts)).toEqual(contentsOf(whole));
});

test('what fails one after another is refused, by the name of the first that does', async () => {
  const database = new DatabaseSync(':memory:');
  const scratch = {
    execute: async (sql: string) => await Promise.resolve(runScript(database, sql)),
  };
  const made = [
    { name: 'create_a', sql: 'CREATE TABLE "A" ("id" INTEGER);' },
    { name: 'update_b', sql: 'CREATE INDEX "i" ON "B"("id");' },
    { name: 'create_b', sql: 'CREATE TABLE "B" ("id" INTEGER);' },
  ];
  await expect(verifyAppliesInOrder(scratch, made)).rejects.toThrow(
    'cannot write one migration a table: update_b fails after those before it: no such table: main.B',
  );
  expect(() => database.exec('DROP TABLE "A"')).not.toThrow();
});
