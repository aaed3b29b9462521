import { appendFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { dataMigration, replaceIn, schemaMigration, slowDataMigration, type Edit } from './releases.ts';

/** A release of the ledger on SQLite: files, schema (with a table rebuilt as Prisma does it), rows, data. */
export const sqliteRelease =
  (number: number): Edit =>
  (folder) => {
    writeFileSync(join(folder, `docs/added in ${number}.txt`), `new in ${number}\n`);
    appendFileSync(join(folder, 'scripts/tool.sh'), `# release ${number}\n`);
    schemaMigration(
      folder,
      `000${number}_release`,
      `ALTER TABLE "entries" ADD COLUMN "kind_${number}" TEXT NOT NULL DEFAULT 'in';
PRAGMA foreign_keys=OFF;
CREATE TABLE "new_accounts" ("name" TEXT NOT NULL PRIMARY KEY, "opened" INTEGER NOT NULL DEFAULT ${number});
INSERT INTO "new_accounts" SELECT * FROM "accounts";
DROP TABLE "accounts";
ALTER TABLE "new_accounts" RENAME TO "accounts";
PRAGMA foreign_keys=ON;
`,
    );
    dataMigration(
      folder,
      `00${number}_release`,
      `await client.query("update entries set kind_${number} = 'out' where amount < 0");
await client.query("insert into accounts values ('account of ${number}', ${number})");
await client.query("delete from log where line = 'three'");
const { appendFileSync } = await import('node:fs');
appendFileSync(new URL('../../data/uploads/photo.bin', import.meta.url), 'touched by ${number}');`,
    );
  };

const broken =
  (breakIt: Edit): Edit =>
  (folder) => {
    sqliteRelease(3)(folder);
    breakIt(folder);
  };

export const sqliteBroken = {
  good: sqliteRelease(3),
  install: broken((folder) =>
    replaceIn(
      folder,
      'api/package.json',
      '"private": true',
      '"private": true,\n  "dependencies": { "pg-format": "1.0.4" }',
    ),
  ),
  build: broken((folder) =>
    writeFileSync(join(folder, 'api/build.js'), "throw new Error('the api does not build');\n"),
  ),
  data: broken((folder) =>
    slowDataMigration(folder, '004_half_way', 'throw new Error(`row ${id}: cannot be migrated`);'),
  ),
  health: broken((folder) =>
    replaceIn(
      folder,
      'api/src/server.js',
      'server.listen',
      "throw new Error('cannot start');\nserver.listen",
    ),
  ),
} satisfies Record<string, Edit>;
