import { DatabaseSync } from 'node:sqlite';
import { expect, test } from 'vitest';
import { splitSqliteByTable } from '../../../orchestrator/schema-migrations/split/split-by-table.ts';

const history = `
CREATE TABLE "users" ("id" INTEGER NOT NULL PRIMARY KEY, "name" TEXT, "email" TEXT);
CREATE UNIQUE INDEX "users_email_key" ON "users"("email");
CREATE TABLE "posts" ("id" INTEGER NOT NULL PRIMARY KEY, "userId" INTEGER NOT NULL REFERENCES "users" ("id") ON DELETE CASCADE);
CREATE INDEX "moved_idx" ON "posts"("userId");
CREATE TABLE "old" ("id" INTEGER NOT NULL PRIMARY KEY);
CREATE TABLE "tags" ("id" INTEGER NOT NULL PRIMARY KEY, "word" TEXT);
`;

/** As Prisma writes it: two tables rebuilt between one pair of PRAGMAs, an index that moves from one table to another. */
const script = `
-- DropIndex
DROP INDEX "moved_idx";

-- DropTable
PRAGMA foreign_keys=off;
DROP TABLE "old";
PRAGMA foreign_keys=on;

-- CreateTable
CREATE TABLE "visits" ("id" INTEGER NOT NULL PRIMARY KEY, "postId" INTEGER REFERENCES "posts" ("id"));

-- AlterTable
ALTER TABLE "tags" ADD COLUMN "weight" INTEGER;

-- RedefineTables
PRAGMA defer_foreign_keys=ON;
PRAGMA foreign_keys=OFF;
CREATE TABLE "new_posts" ("id" INTEGER NOT NULL PRIMARY KEY, "userId" INTEGER NOT NULL REFERENCES "users" ("id") ON DELETE RESTRICT);
INSERT INTO "new_posts" ("id", "userId") SELECT "id", "userId" FROM "posts";
DROP TABLE "posts";
ALTER TABLE "new_posts" RENAME TO "posts";
CREATE TABLE "new_users" ("id" INTEGER NOT NULL PRIMARY KEY, "name" TEXT NOT NULL DEFAULT 'x', "email" TEXT);
INSERT INTO "new_users" ("email", "id", "name") SELECT "email", "id", coalesce("name", 'x') AS "name" FROM "users";
DROP TABLE "users";
ALTER TABLE "new_users" RENAME TO "users";
CREATE UNIQUE INDEX "users_email_key" ON "users"("email");
PRAGMA foreign_keys=ON;
PRAGMA defer_foreign_keys=OFF;

-- CreateIndex
CREATE INDEX "moved_idx" ON "visits"("postId");
`;

function after(...scripts: string[]): unknown {
  const database = new DatabaseSync(':memory:');
  database.exec(history);
  database.exec("INSERT INTO users VALUES (1, NULL, 'a'); INSERT INTO posts VALUES (1, 1);");
  for (const one of scripts) database.exec(one);
  const read = (sql: string) => database.prepare(sql).all();
  return {
    schema: read('SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY name'),
    rows: [read('SELECT * FROM users'), read('SELECT * FROM posts')],
    wrong: read('PRAGMA foreign_key_check'),
    keys: read('PRAGMA foreign_keys'),
  };
}

test('one migration a table, in an order that comes to the same as the whole script', async () => {
  const made = await splitSqliteByTable(script, history);
  expect(made.map(({ name }) => name)).toEqual([
    ...['update_posts', 'create_visits', 'update_tags', 'update_users', 'drop_old'],
  ]);
  expect(after(...made.map(({ sql }) => sql))).toEqual(after(script));
  expect(made.find(({ name }) => name === 'update_users')?.sql).toMatch(
    /^PRAGMA defer_foreign_keys=ON;[^]*new_users[^]*PRAGMA defer_foreign_keys=OFF;\n\nCREATE UNIQUE INDEX[^]*;\n$/,
  );
});

test('what nobody knows the table of keeps its place', async () => {
  const made = await splitSqliteByTable('DROP INDEX "by_hand";\nCREATE TABLE "a" ("i" INTEGER);', history);
  expect(made.map(({ name }) => name)).toEqual(['update_database', 'create_a']);
});
