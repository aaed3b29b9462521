import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { localRuntime } from '../../orchestrator/runtime/local.ts';
import { prismaCli } from '../../orchestrator/schema-migrations/prisma-cli.ts';
import { listSnapshots } from '../../orchestrator/snapshot/store.ts';
import { Cli } from '../support/cli.ts';
import type { Ledger } from '../support/ledger.ts';
import { installPrismaLedger } from '../support/prisma-ledger.ts';
import { replaceIn, schemaMigration } from '../support/releases.ts';
import { differences } from '../support/state.ts';

/* The commands on a ledger whose books are a file of SQLite, and whose migrations Prisma applies. */

let ledger: Ledger;
let installed: string;

beforeAll(async () => {
  ({ ledger, installed } = await installPrismaLedger({ sqlite: true }));
});

afterAll(async () => {
  await ledger?.destroy();
});

const newest = () => listSnapshots(ledger.open().backupsDirectory)[0];
const migration = '20261120100000_add_city';
const rebuild = `PRAGMA foreign_keys=OFF;
CREATE TABLE "new_accounts" ("name" TEXT NOT NULL PRIMARY KEY, "opened" INTEGER NOT NULL, "city" TEXT);
INSERT INTO "new_accounts" ("name", "opened") SELECT "name", "opened" FROM "accounts";
DROP TABLE "accounts";
ALTER TABLE "new_accounts" RENAME TO "accounts";
PRAGMA foreign_keys=ON;
`;

describe('an update', () => {
  test('to a schema of another kind of database is refused before anything stops', async () => {
    const pids = await ledger.pids();
    await ledger.sandbox.publish(
      (folder) => replaceIn(folder, 'api/prisma/schema.prisma', '"sqlite"', '"postgresql"'),
      { onto: installed },
    );
    expect(await ledger.run('update')).toMatchObject({
      exitCode: 3,
      error: expect.stringContaining('api/prisma/schema.prisma is written for "postgresql"'),
    });
    expect(await ledger.pids()).toEqual(pids);
  });

  test('whose migration fails in Prisma leaves everything as before', async () => {
    await ledger.sandbox.publish(
      (folder) => schemaMigration(folder, migration, `${rebuild}INSERT INTO "missing" VALUES (1);\n`),
      { onto: installed },
    );
    const was = await ledger.capture();
    expect(await ledger.run('update')).toMatchObject({
      exitCode: 10,
      error: expect.stringContaining('no such table: missing'),
    });
    expect(differences(was, await ledger.capture())).toEqual([]);
  });
});

describe('rehearse', () => {
  test('finds what fails on real rows only, and leaves nothing', async () => {
    await ledger.sandbox.publish(
      (folder) =>
        schemaMigration(
          folder,
          migration,
          'CREATE UNIQUE INDEX "entries_at_key" ON "entries"("at" COLLATE NOCASE);\nINSERT INTO "entries" ("note", "amount") VALUES (\'sale\', 1);',
        ),
      { onto: installed },
    );
    const was = await ledger.capture();
    const outcome = await ledger.run('rehearse');
    expect(outcome).toMatchObject({ exitCode: 3, result: { ok: false } });
    expect(JSON.stringify(outcome.result)).toContain('UNIQUE constraint failed');
    expect(differences(was, await ledger.capture())).toEqual([]);
    expect(existsSync(join(ledger.open().state.path, 'scratch-database'))).toBe(false);
  });

  test('tells which rows were written', async () => {
    await ledger.sandbox.publish(
      (folder) =>
        schemaMigration(folder, migration, `${rebuild}UPDATE "entries" SET "amount" = 0 WHERE "id" < 3;\n`),
      { onto: installed },
    );
    const outcome = await ledger.run('rehearse');
    expect(outcome).toMatchObject({
      exitCode: 0,
      result: {
        migrations: [{ kind: 'schema', name: migration, rows: [{ table: 'entries', rows: 2 }] }, {}],
      },
    });
  });
});

test('rehearse leaves the live rows alone when a migration attaches the live file', async () => {
  const live = join(ledger.directory, 'data/ledger.db');
  const reaches = `ATTACH '${live}' AS live;\nDELETE FROM live.entries;\n`;
  await ledger.sandbox.publish((folder) => schemaMigration(folder, migration, reaches), { onto: installed });
  const was = await ledger.capture();
  const rehearsed = await ledger.run('rehearse');
  expect(rehearsed.exitCode).not.toBe(0);
  expect(`${rehearsed.error}${JSON.stringify(rehearsed.result)}`).toContain('ATTACH');
  expect(differences(was, await ledger.capture())).toEqual([]);
});

test('a copy that things are tried on keeps everybody who works on it from the live file', async () => {
  const live = join(ledger.directory, 'data/ledger.db');
  const reaches = `ATTACH '${live}' AS live; DELETE FROM live.entries;`;
  const appliance = ledger.open();
  await appliance.database?.withScratch(async (scratch) => {
    await expect(scratch.execute(reaches)).rejects.toThrow(`cannot open ${live} `);
    const command = prismaCli(appliance, appliance.config, ['db', 'execute', '--stdin'], scratch.environment);
    const answer = await localRuntime.run({ ...command, input: reaches }, { allowFailure: true });
    expect(answer).toMatchObject({ exitCode: 1, stderr: expect.stringContaining(`cannot open ${live} `) });
  });
  expect(await ledger.sql('select count(*) as n from entries')).toEqual([{ n: 4 }]);
});

test('what changes the live file by another way while something is tried on a copy is told', async () => {
  const setVersion = async (version: number) => {
    const database = new DatabaseSync(join(ledger.directory, 'data/ledger.db'));
    database.exec(`pragma user_version = ${version}`);
    database.close();
    await Promise.resolve();
  };
  const trying = ledger.open().database?.withScratch(async () => await setVersion(8));
  await expect(trying).rejects.toThrow(
    /^what was tried on a copy changed the live database: database userVersion: 7 became 8$/,
  );
  await setVersion(7);
});

test('migrate: lint, test-down, an update, and down', async () => {
  const release = await ledger.sandbox.publish(
    (folder) => {
      schemaMigration(folder, migration, rebuild);
    },
    { onto: installed },
  );
  expect(await ledger.run('migrate', 'lint', '--to', 'main')).toMatchObject({ exitCode: 0 });
  await ledger.succeed('update');
  expect(await ledger.answeringCommit()).toBe(release);
  expect(await ledger.run('migrate', 'status')).toMatchObject({ exitCode: 0 });
  await ledger.succeed('migrate', 'generate-down', migration);
  const down = join(ledger.directory, `api/prisma/migrations/${migration}/down.sql`);
  expect(readFileSync(down, 'utf8')).toContain('PRAGMA foreign_keys=OFF');
  expect(await ledger.run('migrate', 'test-down', migration)).toMatchObject({ exitCode: 0, error: '' });
  const text = readFileSync(down, 'utf8');
  const live = join(ledger.directory, 'data/ledger.db');
  writeFileSync(down, `${text}\nATTACH '${live}' AS live; DELETE FROM live.entries;\n`);
  expect((await ledger.run('migrate', 'test-down', migration)).error).toContain('ATTACH');
  expect(await ledger.sql('select count(*) as n from entries')).toEqual([{ n: 4 }]);
  writeFileSync(down, text);

  expect(await ledger.run('migrate', 'down', '--to', '0001_entries')).toMatchObject({ error: '' });
  expect(await ledger.sql("select name from pragma_table_info('accounts')")).toEqual([
    { name: 'name' },
    { name: 'opened' },
  ]);
  expect(await ledger.sql('select migration_name from _prisma_migrations')).toEqual([
    { migration_name: '0001_entries' },
  ]);
  await ledger.succeed('migrate', 'deploy');
  await ledger.succeed('start');
});

test('migrate generate writes what the schema needs, found in a database of its own', async () => {
  const outcome = await ledger.run('migrate', 'generate', 'drop city', '--dry-run');
  expect(outcome).toMatchObject({
    exitCode: 0,
    result: { migrations: [{ sql: expect.stringContaining('CREATE TABLE "new_accounts"') }] },
  });
});

test('migrate generate --per-table writes what can be applied one after another, and is all of it', async () => {
  const schema = join(ledger.directory, 'api/prisma/schema.prisma');
  const folder = join(ledger.directory, 'api/prisma/migrations');
  const [was, there] = [readFileSync(schema, 'utf8'), readdirSync(folder)];
  // accounts, which comes first, refers to what becomes a key of entries in the same change.
  const referring = was
    .replace('opened Int', 'opened Int\n  entry  entries @relation(fields: [opened], references: [amount])')
    .replace('amount Int', 'amount Int      @unique\n  owners accounts[]');
  writeFileSync(
    schema,
    `${referring}\nmodel Visit {\n  id   Int @id\n  note String\n\n  @@index([note])\n}\n`,
  );
  expect(await ledger.run('migrate', 'generate', 'all', '--per-table')).toMatchObject({
    exitCode: 0,
    error: '',
  });
  const made = readdirSync(folder).filter((name) => !there.includes(name));
  expect(made.map((name) => name.slice(15))).toEqual([
    ...['create_visit', 'update_entries', 'update_accounts', 'drop_log'],
  ]);
  expect((await ledger.run('migrate', 'generate', 'nothing', '--dry-run')).text).toMatch(/^No changes/);
  for (const name of made) rmSync(join(folder, name), { recursive: true });
  writeFileSync(schema, was);
});

test('db stats, db inspect, doctor and status look at the file', async () => {
  expect(await ledger.run('db', 'stats')).toMatchObject({
    result: {
      tables: expect.arrayContaining([expect.objectContaining({ name: 'entries', rows: 4, indexes: 1 })]),
    },
  });
  expect(await ledger.run('db', 'inspect', 'entries')).toMatchObject({
    result: {
      columns: expect.arrayContaining([{ name: 'note', type: 'TEXT', nullable: false, default: null }]),
    },
  });
  const doctor = await Cli.run(ledger, 'doctor');
  expect(JSON.stringify(doctor.result)).toContain('a restore without rows was tried');
  const status = await Cli.run(ledger, 'status');
  expect(JSON.stringify(status.result)).toContain('ledger.db');
});

test('doctor warns of a branch that is not on the remote: an update would be refused', async () => {
  const file = join(ledger.directory, 'appliance.yaml');
  const text = readFileSync(file, 'utf8');
  writeFileSync(file, `${text}\nsources: { app: { follow: { branch: trunk } } }\n`);
  const doctor = await Cli.run(ledger, 'doctor');
  writeFileSync(file, text);
  expect(JSON.stringify(doctor.result)).toContain('cannot find the branch \\"trunk\\" on the remote');
});

test('backup: create, verify, export, import; what is damaged is found', async () => {
  await ledger.succeed('backup', 'create', '--name', 'mine');
  const { id = '', folder = '' } = newest() ?? {};
  expect(readFileSync(join(folder, 'RESTORE.md'), 'utf8')).toContain("cp database.dump '");
  expect(await ledger.run('backup', 'verify', id)).toMatchObject({ exitCode: 0 });

  const archive = join(ledger.sandbox.root, 'exported.tar');
  await ledger.succeed('backup', 'export', id, archive);
  rmSync(folder, { recursive: true });
  await ledger.succeed('backup', 'import', archive);
  expect(await ledger.run('backup', 'verify', id)).toMatchObject({ exitCode: 0 });
  // The second page: the header and the list of tables still tell nothing.
  const dump = join(folder, 'database.dump');
  const bytes = readFileSync(dump);
  writeFileSync(dump, bytes.fill(0xff, 4096, 4096 + 512));
  expect(await ledger.run('backup', 'verify', id)).toMatchObject({ exitCode: 3 });
});
