import { appendFileSync, chmodSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { nonAsciiDocument } from './odd-files.ts';

export type Engine = 'postgresql' | 'sqlite';

/** The engine of the appliance in a folder. */
export const engineOf = (folder: string): Engine =>
  readFileSync(join(folder, 'appliance.yaml'), 'utf8').includes('file: data/ledger.db')
    ? 'sqlite'
    : 'postgresql';

/** Changes the working tree of the vendor, to be committed as a release. */
export type Edit = (folder: string) => void;

const write = (folder: string, path: string, text: string) => {
  mkdirSync(join(folder, path, '..'), { recursive: true });
  writeFileSync(join(folder, path), text);
};

export function replaceIn(folder: string, path: string, from: string, to: string): void {
  const text = readFileSync(join(folder, path), 'utf8');
  if (!text.includes(from)) throw new Error(`${path} of the fixture has no "${from}"`);
  writeFileSync(join(folder, path), text.replace(from, to));
}

export function schemaMigration(folder: string, name: string, sql: string): void {
  write(folder, `api/prisma/migrations/${name}/migration.sql`, sql);
}

export function dataMigration(folder: string, name: string, body: string): void {
  write(
    folder,
    `api/data-migrations/${name}.ts`,
    `import { database } from '../data-migration.js';\n\nawait using client = await database();\n${body}\n`,
  );
}

/** A data migration that works through the entries one by one and comes to `atThird` in the middle of them. */
export function slowDataMigration(folder: string, name: string, atThird: string): void {
  dataMigration(
    folder,
    name,
    `const { rows } = await client.query('select id from entries order by id');
for (const [index, { id }] of rows.entries()) {
  if (index === 2) {
    ${atThird}
  }
  await client.query("update entries set note = 'migrated ' || note where id = $1", [id]);
}`,
  );
}

/**
 * A release that changes every kind of thing, so that a failure after it has everything to restore: files added,
 * changed, deleted, of another mode, of another type; the schema; rows; the appliance's own data.
 *
 * @param number each release changes the same things again
 */
export const release =
  (number: number): Edit =>
  (folder) => {
    write(folder, `docs/added in ${number} – neu.txt`, `new in ${number}\n`);
    rmSync(join(folder, 'docs/removed.txt'), { force: true });
    appendFileSync(join(folder, nonAsciiDocument), `release ${number}\n`);
    chmodSync(join(folder, 'scripts/tool.sh'), number % 2 === 0 ? 0o755 : 0o644);
    write(folder, 'web/src/page.js', `export const page = '<h1>Ledger, release ${number}</h1>';\n`);
    exchangeTypes(folder, number);
    const { schema, rows } = inDatabase[engineOf(folder)];
    schemaMigration(folder, `000${number}_release`, schema(number));
    dataMigration(
      folder,
      `00${number}_release`,
      `await client.query("update entries set kind_${number} = 'out' where amount < 0");
await client.query("insert into accounts values ('account of ${number}', ${number})");
await client.query("${rows}");
const { appendFileSync, chmodSync, rmSync, writeFileSync } = await import('node:fs');
const data = new URL('../../data/', import.meta.url);
appendFileSync(new URL('uploads/photo.bin', data), 'touched by ${number}');
writeFileSync(new URL('made by ${number}', data), 'x');
chmodSync(new URL('tool', data), 0o700);
rmSync(new URL('holes.img', data), { force: true });
const { spawnSync } = await import('node:child_process');
const cwd = new URL('uploads/2024/', data);
spawnSync('setfattr', ['-n', 'user.checked', '-v', 'by ${number}', 'ein Übertrag – März.txt'], { cwd });
spawnSync('setfacl', ['-m', 'd:u:1234${number}:r', '.'], { cwd });`,
    );
  };

/** What a release does to the schema and to rows, in ways that only one engine has. */
const inDatabase = {
  postgresql: {
    schema: (number: number) => `create type kind_${number} as enum ('in', 'out');
       alter table entries add column kind_${number} kind_${number} not null default 'in';
       create index entries_kind_${number} on entries (kind_${number});
       comment on table entries is 'as of release ${number}';`,
    rows: "select nextval('receipt_numbers')",
  },
  sqlite: {
    // A table rebuilt as Prisma does it.
    schema: (number: number) => `ALTER TABLE "entries" ADD COLUMN "kind_${number}" TEXT NOT NULL DEFAULT 'in';
PRAGMA foreign_keys=OFF;
CREATE TABLE "new_accounts" ("name" TEXT NOT NULL PRIMARY KEY, "opened" INTEGER NOT NULL DEFAULT ${number});
INSERT INTO "new_accounts" SELECT * FROM "accounts";
DROP TABLE "accounts";
ALTER TABLE "new_accounts" RENAME TO "accounts";
PRAGMA foreign_keys=ON;
`,
    rows: "delete from log where line = 'three'",
  },
} satisfies Record<Engine, unknown>;

/** A folder becomes a file and a file a folder; the next release turns both around. */
function exchangeTypes(folder: string, number: number): void {
  for (const path of ['odd/becomes-a-folder', 'odd/becomes-a-file'])
    rmSync(join(folder, path), { recursive: true });
  const [file, inside] =
    number % 2 === 0
      ? ['odd/becomes-a-file', 'odd/becomes-a-folder/inside.txt']
      : ['odd/becomes-a-folder', 'odd/becomes-a-file/inside.txt'];
  write(folder, file, `a file in ${number}\n`);
  write(folder, inside, `inside in ${number}\n`);
}
