import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { SqliteMigrations } from '../support/data-migrations-sqlite.ts';
import { ended, untilItSays } from '../support/data-migrations.ts';

/* Data migrations on a SQLite file: its transactions and locks, and who waits for whom. */

let app: SqliteMigrations;
beforeAll(async () => void (app = await SqliteMigrations.start()), 60_000);
beforeEach(() => app.reset());
afterAll(() => app.stop());

test('words of transactions are refused: in a file before anything runs, in code by SQLite', async () => {
  app.write('001_own.sql', 'BEGIN;\nUPDATE users SET n = 1;\nCOMMIT;\n');
  const refused = await app.run();
  expect(refused.exitCode).toBe(2);
  expect(refused.stderr).toContain('001_own.sql: it opens or ends a transaction of its own');
  app.reset();
  app.fill(1);
  app.migration(
    '001_code',
    `  async up(prisma, { batch, log }) {
    const say = (error) => log('refused: ' + error.message.replaceAll(/\\s+/g, ' '));
    await prisma.$executeRawUnsafe('BEGIN').catch(say);
    await prisma.$executeRawUnsafe('UPDATE users SET n = 5; UPDATE users SET n = 6').catch(say);
    await batch({ table: 'users', up: async (row, tx) => { await tx.$executeRawUnsafe('COMMIT').catch(say); return { n: 1 }; } });
  },`,
  );
  const { exitCode, stdout } = await app.run();
  // Caught, it is a failure none the less.
  expect(exitCode).toBe(1);
  expect(stdout).toMatch(/refused: .*it says "BEGIN", which was not sent/);
  expect(stdout).toMatch(/refused: .*it holds more than one statement/);
  expect(stdout).toMatch(/refused: .*it says "COMMIT", which was not sent/);
  expect(app.tallied()).toEqual({ 1: 1 });
});

test('a query that would wait for its own migration is told at once', async () => {
  app.fill(1);
  app.migration(
    '001_waits',
    `  async up(prisma, { batch, log }) {
    const say = (error) => log('told: ' + error.message.replaceAll(/\\s+/g, ' '));
    const write = () => prisma.user.updateMany({ data: { n: 9 } });
    await prisma.$transaction(async (tx) => { await tx.user.count(); await write().catch(say); });
    await prisma.$transaction(async () => { await batch({ name: 'inside', table: 'users', set: 'n = 9' }).catch(say); });
    await batch({ table: 'users', up: async () => { await write().catch(say); log('sees ' + await prisma.user.count()); return { n: 1 }; } });
  },`,
  );
  const { exitCode, stdout, stderr } = await app.runWith({ DATA_MIGRATION_BUSY_TIMEOUT: '10m' });
  expect(stderr).toContain('carried on as if it had not');
  expect(exitCode).toBe(1);
  expect(stdout).toMatch(/told: .*waits for what its own \$transaction holds/);
  expect(stdout).toMatch(/told: .*a batch waits for the \$transaction that it is called in/);
  expect(stdout).toMatch(/told: .*waits for its own batch/);
  expect(stdout).toContain('sees 1');
  expect(app.tallied()).toEqual({ 1: 1 });
});

test('what goes on beside a $transaction is no part of it, and does not go with it', async () => {
  app.migration(
    '001_beside',
    `  async up(prisma, { log }) {
    const later = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
    const tries = Array.from({ length: 20 }, (_, index) => [
      prisma.$transaction(async (tx) => {
        await tx.user.create({ data: { name: 'taken back ' + index } });
        await later(1);
        throw new Error('taken back');
      }).catch(() => {}),
      later(index).then(async () => await prisma.$executeRaw\`INSERT INTO users (name) VALUES ('kept')\`),
      prisma.$transaction(async (tx) => await tx.user.create({ data: { name: 'kept' } })),
    ]);
    await Promise.all(tries.flat());
    await prisma.$transaction(async (tx) => {
      await tx.user.create({ data: { name: 'first' } });
      await tx.$executeRaw\`INSERT OR ROLLBACK INTO users (id, name) VALUES (1, 'again')\`.catch(() => {});
      await tx.user.create({ data: { name: 'alone' } });
    }).catch((error) => log('lost: ' + error.message.replaceAll(/\\s+/g, ' ')));
  },`,
  );
  const { exitCode, stderr, stdout } = await app.run();
  expect(stderr).toMatch(/UNIQUE constraint failed: users\.id.*carried on as if it had not/);
  expect(exitCode).toBe(1);
  expect(app.sql(`SELECT count(*) AS n FROM users WHERE name = 'kept'`)).toEqual([{ n: 40 }]);
  expect(app.sql('SELECT count(*) AS n FROM users')).toEqual([{ n: 40 }]);
  expect(stdout).toMatch(/lost: .*SQLite has rolled the transaction back/);
});

test('one runner at a time; what a killed one left at work is ended before the next begins', async () => {
  app.fill(1);
  // In one statement of SQLite's, which nothing interrupts: its process does not notice that the runner is gone.
  app.write(
    '001_long.sql',
    `UPDATE users SET n = n + 1 + (WITH RECURSIVE s (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM s WHERE i < 1000000000) SELECT min(i) - 1 FROM s);\n`,
  );
  const first = app.start([]);
  const firstEnded = ended(first);
  await untilItSays(first, '→ 001_long');
  const second = await app.run();
  expect(second.exitCode).toBe(4);
  expect(second.stderr).toMatch(
    /cannot run the data migrations: another runner \(pid \d+, since 20.*\) is at it/,
  );
  // The runner only: its migration's process is in the middle of the statement.
  process.kill(Number(/pid (\d+)/.exec(second.stderr)?.[1]), 'SIGKILL');
  await firstEnded;
  app.write('001_long.sql', 'UPDATE users SET n = n + 1;\n');
  const next = await app.run();
  expect(next).toMatchObject({
    exitCode: 0,
    stdout: expect.stringContaining('was interrupted; goes on') as string,
  });
  expect(app.tallied()).toEqual({ 1: 1 });
});

test('one that cannot give a sign counts as alive while its runner holds the lock', async () => {
  app.migration('001_first', `  async up() {},`);
  await app.run();
  app.sql(`UPDATE holdfast_data_migrations SET state = 'RUNNING', lease_until = '2026-01-01T00:00:00.000Z'`);
  const migrationsOf = async (): Promise<unknown> =>
    (JSON.parse((await app.run('--status', '--json')).stdout) as { migrations: unknown }).migrations;
  expect(await migrationsOf()).toMatchObject([{ state: 'RUNNING', interrupted: true }]);
  const lock = new DatabaseSync(`${app.file}-holdfast-lock`);
  lock.exec('BEGIN IMMEDIATE');
  const migrations = await migrationsOf();
  lock.close();
  expect(migrations).toMatchObject([{ state: 'RUNNING' }]);
  expect(migrations).not.toMatchObject([{ interrupted: true }]);
  // A runner that was killed a moment ago gave its last sign a moment ago.
  app.sql(`UPDATE holdfast_data_migrations SET lease_until = '2126-01-01T00:00:00.000Z'`);
  expect(await migrationsOf()).toMatchObject([{ state: 'RUNNING', interrupted: true }]);
});

test('a locked database is told with who has it open', async () => {
  app.migration('001_first', `  async up(prisma) { await prisma.user.create({ data: { name: 'one' } }); },`);
  const script = join(app.root, 'holds.mjs');
  const holds = `import { DatabaseSync } from 'node:sqlite';
const own = new DatabaseSync(${JSON.stringify(app.file)});
own.exec('BEGIN IMMEDIATE');
console.log('holds');
setInterval(() => {}, 1000);`;
  writeFileSync(script, holds);
  const holder = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await untilItSays(holder, 'holds');
  const locked = await app.runWith({ DATA_MIGRATION_BUSY_TIMEOUT: '1s' });
  const status = await app.run('--status');
  holder.kill('SIGKILL');
  expect(locked.exitCode).toBe(1);
  expect(locked.stderr).toMatch(
    new RegExp(
      String.raw`the database is locked: node .*holds\.mjs \(pid ${holder.pid}\) has it open\. Stop it, or wait`,
    ),
  );
  expect(status.stdout).toContain('pending: 1');
});
