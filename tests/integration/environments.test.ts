import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { execFileSync } from 'node:child_process';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Ledger } from '../support/ledger.ts';
import { needs } from '../support/needs.ts';
import { installPrismaLedger } from '../support/prisma-ledger.ts';
import { dataMigration, replaceIn, schemaMigration } from '../support/releases.ts';
import { differences } from '../support/state.ts';
import { atTerminal } from '../support/terminal.ts';

/* `environment: test` and `development`: what an update leaves alone there, and what only they allow. */

let ledger: Ledger;
const tagsModel = '\nmodel tags {\n  i Int @id\n}\n';
const schemaFile = () => join(ledger.directory, 'api/prisma/schema.prisma');
const tables = async () =>
  (await ledger.sql(`select tablename from pg_tables where schemaname = 'public' order by tablename`)).map(
    ({ tablename }) => tablename,
  );
const skipped = (outcome: Awaited<ReturnType<Ledger['run']>>) =>
  outcome.events.flatMap((event) => (event.type === 'step' && event.state === 'skipped' ? [event] : []));

beforeAll(async () => {
  ({ ledger } = await installPrismaLedger());
});

afterAll(async () => {
  await ledger?.destroy();
});

test('production, which is the default, allows none of it', async () => {
  const was = await ledger.capture();
  for (const [command, why] of [
    [['db', 'push'], 'cannot push the schema: this is a production environment'],
    [['db', 'reset', '--allow-destructive'], 'cannot reset the database: this is a production environment'],
    [['db', 'restore', 'x'], 'cannot restore the dump: this is a production environment'],
    [['migrate', 'dev', 'x'], 'cannot develop a migration: this is a production environment'],
  ] as const)
    expect(await ledger.run(...command)).toMatchObject({ exitCode: 3, error: why });
  expect(differences(was, await ledger.capture())).toEqual([]);
});

test('test: an update brings the code and leaves the database alone, until it is asked to migrate', async () => {
  await ledger.sandbox.publish(
    (folder) => {
      replaceIn(folder, 'appliance.yaml', 'name: ledger', 'name: ledger\nenvironment: test');
      replaceIn(
        folder,
        'api/prisma.config.mjs',
        "path: 'prisma/migrations'",
        "path: 'prisma/migrations', seed: 'node prisma/seed.mjs'",
      );
      writeFileSync(
        join(folder, 'api/prisma/seed.mjs'),
        `import { Client } from 'pg';
const client = new Client({ connectionString: process.env.DATABASE_URL });
await client.connect();
await client.query("insert into entries (note, amount) values ('seeded', 1)");
await client.end();
`,
      );
      // It would be refused if it were to run: it takes data away.
      schemaMigration(
        folder,
        '20260301000000_tags',
        'create table tags (i int primary key); drop table if exists spare;',
      );
      writeFileSync(join(folder, 'api/prisma/schema.prisma'), tagsModel, { flag: 'a' });
      dataMigration(folder, '002_more', `await client.query("insert into tags values (1)");`);
    },
    { tag: 'v1.2.0' },
  );
  await ledger.sql('create table spare as select 1 as i');
  const plan = await ledger.run('update', '--dry-run');
  expect(plan).toMatchObject({ result: { schemaMigrations: [], dataMigrations: [], destructive: [] } });
  expect(plan.text).toContain('switched off: environment is test');
  const outcome = await ledger.run('update');
  expect(outcome).toMatchObject({ exitCode: 0 });
  expect(skipped(outcome).map(({ step, message }) => `${step}: ${message}`)).toEqual(
    expect.arrayContaining([
      expect.stringMatching(/^migrate-schema: switched off: environment is test/),
      expect.stringMatching(/^migrate-data: switched off: environment is test/),
    ]),
  );
  expect(await tables()).toEqual(['_prisma_migrations', 'accounts', 'entries', 'spare']);
  // Pending migrations are no work there, and nothing to stay down for.
  expect(await ledger.run('update')).toMatchObject({ result: { outcome: 'current' } });
  expect(await ledger.run('restart')).toMatchObject({ exitCode: 0 });
  expect(await ledger.run('db', 'reset', '--allow-destructive')).toMatchObject({ exitCode: 3 });

  expect(await ledger.run('update', '--migrate')).toMatchObject({
    exitCode: 3,
    error: expect.stringContaining('drops the table spare'),
  });
  expect(await ledger.run('update', '--migrate', '--allow-destructive')).toMatchObject({ exitCode: 0 });
  expect(await tables()).toEqual(['_prisma_migrations', 'accounts', 'entries', 'tags']);
  expect(await ledger.sql('select i from tags')).toEqual([{ i: 1 }]);
});

test('db push: the schema as it is written, behind a snapshot; what takes data away only when allowed', async () => {
  const text = readFileSync(schemaFile(), 'utf8');
  writeFileSync(schemaFile(), `${text.replace(tagsModel, '')}\nmodel pushed {\n  i Int @id\n}\n`);
  const refused = await ledger.run('db', 'push');
  expect(refused).toMatchObject({
    exitCode: 3,
    error: 'cannot push the schema: it would take data away; Prisma says above what',
    next: './run.sh db push --allow-destructive',
  });
  expect(await tables()).not.toContain('pushed');
  const pushed = await ledger.run('db', 'push', '--allow-destructive');
  // The schema is being worked on, so that there can be no snapshot.
  expect(pushed).toMatchObject({
    exitCode: 0,
    result: {
      dump: expect.any(String),
      back: expect.stringMatching(/^\.\/run\.sh db restore .*-before-push\.dump'?$/),
    },
  });
  expect(await tables()).toEqual(['_prisma_migrations', 'accounts', 'entries', 'pushed']);

  // The way back is walked as it is said, and forth, and back once more: each leaves a dump of what it replaces.
  const names = () =>
    readdirSync(join(ledger.open().state.path, 'dumps')).filter((name) => name.endsWith('.dump'));
  const dump = String(pushed.result?.['dump']);
  let last: Awaited<ReturnType<Ledger['run']>> = pushed;
  for (const expected of ['tags', 'pushed', 'tags']) {
    const [, ...words] = String(last.result?.['back']).replaceAll("'", '').split('./run.sh db restore ');
    last = await ledger.run('db', 'restore', words.join(''));
    expect(last).toMatchObject({ exitCode: 0, error: '' });
    expect((await tables()).filter((name) => !/accounts|entries|_prisma/.test(String(name)))).toEqual([
      expected,
    ]);
  }
  expect(await ledger.sql('select i from tags')).toEqual([{ i: 1 }]);
  expect(names()).toHaveLength(3);
  expect(await ledger.run('db', 'restore', dump)).toMatchObject({
    exitCode: 3,
    error: expect.stringMatching(
      /^cannot restore .*: it is no dump of this appliance \(there are .*before-restore/,
    ),
  });
  await ledger.succeed('backup', 'prune');
  expect(await ledger.sql(`select datname from pg_database where datname ~ '^hf_'`)).toEqual([]);
  execFileSync('git', ['checkout', '-q', '--', '.'], { cwd: ledger.directory });
});

test('development: reset empties, replays, seeds; dev writes a migration through a shadow database; a rollback brings all back', async () => {
  await ledger.sandbox.publish(
    (folder) => replaceIn(folder, 'appliance.yaml', 'environment: test', 'environment: development'),
    { tag: 'v1.3.0' },
  );
  await ledger.succeed('update');
  // What the data-migration engine of another backend has written down.
  await ledger.sql('create schema holdfast authorization app; create table holdfast.done (i int)');
  let was = await ledger.capture();
  expect(await ledger.run('db', 'reset')).toMatchObject({
    exitCode: 3,
    error: 'cannot reset the database: nobody is there to type its name',
    next: 'if it is meant so: ./run.sh db reset --allow-destructive',
  });
  expect(await ledger.run('db', 'reset', '--yes')).toMatchObject({ exitCode: 3 });
  const seed = join(ledger.directory, 'api/prisma/seed.mjs');
  const goodSeed = readFileSync(seed, 'utf8');
  writeFileSync(seed, `${goodSeed}process.exit(1);\n`);
  const broken = await ledger.run('db', 'reset', '--allow-destructive');
  expect(broken).toMatchObject({
    exitCode: 11,
    error: expect.stringMatching(/^the database was reset only in part: /),
    next: expect.stringMatching(/^\.\/run\.sh db restore .*before-reset\.dump'? brings everything back$/),
  });
  const [, dump] = /'(\/.*\.dump)'/.exec(String(broken.next)) ?? [];
  await ledger.succeed('db', 'restore', String(dump));
  writeFileSync(seed, goodSeed);
  const now = await ledger.capture();
  expect(differences(was, now).filter((line) => !line.includes(': modified was'))).toEqual([]);
  was = now;

  const reset = await ledger.run('db', 'reset', '--allow-destructive');
  expect(reset).toMatchObject({ exitCode: 0, error: '' });
  expect(await ledger.sql(`select to_regnamespace('holdfast') as s`)).toEqual([{ s: null }]);
  expect(await ledger.notes()).toEqual(['seeded']);
  expect(await tables()).toEqual(['_prisma_migrations', 'accounts', 'entries', 'tags']);
  expect(await ledger.sql('select i from tags')).toEqual([{ i: 1 }]);

  // On what the migrations made, the next one is developed.
  const text = readFileSync(schemaFile(), 'utf8');
  writeFileSync(schemaFile(), `${text}\nmodel visits {\n  i Int @id\n}\n`);
  const created = await ledger.run('migrate', 'dev', 'visits', '--create-only');
  expect(created.error).toBe('');
  expect(created).toMatchObject({ exitCode: 0, result: { migrations: [expect.stringMatching(/_visits$/)] } });
  expect(created.text).toContain('./run.sh migrate dev visits applies it');
  const [name] = (created.result?.['migrations'] ?? []) as string[];
  const file = join(ledger.directory, 'api/prisma/migrations', String(name), 'migration.sql');
  expect(readFileSync(file, 'utf8')).toContain('CREATE TABLE "visits"');
  expect(await tables()).not.toContain('visits');
  writeFileSync(schemaFile(), `${text}\nmodel visits {\n  i Int @id\n}\n\nmodel guests {\n  i Int @id\n}\n`);
  const made = await ledger.run('migrate', 'dev', 'guests');
  expect(made.error).toBe('');
  expect(made).toMatchObject({ exitCode: 0, result: { migrations: [expect.stringMatching(/_guests$/)] } });
  expect(await tables()).toEqual(expect.arrayContaining(['visits', 'guests']));
  expect(await ledger.sql(`select datname from pg_database where datname ~ 'shadow|^hf_scratch'`)).toEqual(
    [],
  );
  await ledger.sql('create table by_hand (i int)');
  expect(await ledger.run('migrate', 'dev', 'more')).toMatchObject({
    exitCode: 3,
    error: expect.stringMatching(/^cannot develop a migration: Prisma has a question/),
  });
  execFileSync('git', ['checkout', '-q', '--', '.'], { cwd: ledger.directory });
  execFileSync('git', ['clean', '-fdq', '--', 'api/prisma'], { cwd: ledger.directory });

  await ledger.succeed('rollback', String(reset.result?.['snapshot']));
  expect(differences(was, await ledger.capture())).toEqual([]);
  expect(await ledger.run('db', 'seed')).toMatchObject({ exitCode: 0 });
  expect(await ledger.notes()).toContain('seeded');
});

test('db reset at a terminal: any answer but the name changes nothing, and --yes is no answer', async (context) => {
  needs(context, 'script');
  const was = await ledger.capture();
  const asks = /Every row of the database goes\. Type ledger to go on: /;
  for (const answer of ['yes', 'ledgers', '']) {
    const typed = await atTerminal(ledger.atTerminal('--yes', 'db', 'reset'), asks, answer);
    expect(typed).toMatchObject({ exitCode: 3, isAnswered: true });
    expect(typed.said).toContain('the answer was another one. Nothing was changed');
  }
  expect(differences(was, await ledger.capture())).toEqual([]);

  expect(await atTerminal(ledger.atTerminal('db', 'reset'), asks, 'ledger')).toMatchObject({
    ...{ exitCode: 0, isAnswered: true },
    said: expect.stringContaining('Emptied, migrated and seeded.'),
  });
  expect(await ledger.notes()).toEqual(['seeded']);
});
