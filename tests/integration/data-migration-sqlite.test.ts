import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { SqliteMigrations } from '../support/data-migrations-sqlite.ts';

let app: SqliteMigrations;
beforeAll(async () => void (app = await SqliteMigrations.start()), 60_000);
beforeEach(() => app.reset());
afterAll(() => app.stop());

const hashOf = (file: string): string => createHash('sha256').update(readFileSync(file)).digest('hex');

/** One of each form that people write; not idempotent, so that what ran twice is seen. */
function writeEachForm(): void {
  app.migration(
    '001_code',
    `  async up(prisma) {
    await prisma.user.create({ data: { name: 'ada', big: 2n ** 60n, born: new Date('2024-05-06T07:08:09.010Z'), active: true, meta: { a: [1] } } });
    await prisma.$transaction(async (tx) => {
      const { id } = await tx.user.create({ data: { name: 'bob' } });
      await tx.user.update({ where: { id }, data: { n: 7 } });
    });
    await prisma.$transaction(async (tx) => {
      await tx.user.deleteMany();
      throw new Error('taken back');
    }).catch(() => {});
    return { recordsProcessed: 2 };
  },`,
  );
  app.write(
    '002_statements.sql',
    `-- Counts what changes.
CREATE TABLE changes (name TEXT);
CREATE TRIGGER users_changed AFTER UPDATE ON users BEGIN
  INSERT INTO changes VALUES (CASE WHEN new.name IS NULL THEN 'COMMIT;' ELSE new.name END);
END;
UPDATE users SET n = n + 1;
`,
  );
  app.write(
    '003_script.ts',
    `import { DatabaseSync } from 'node:sqlite';
async function main() {
  const own = new DatabaseSync(process.env.DATABASE_URL!.replace('file:', ''));
  own.exec("INSERT INTO users (name) VALUES ('cyd')");
  own.close();
}
main();
`,
  );
  app.write(
    '004-class.migration.ts',
    `export class Example {
  name = '004-class';
  constructor(private readonly prisma: any) {}
  async up() { await this.prisma.user.updateMany({ where: { name: 'cyd' }, data: { n: { increment: 1 } } }); return { success: true, recordsProcessed: 1 }; }
}
`,
  );
}

test('each form runs once, is recorded in the same file and in the registry, and is not run again', async () => {
  writeEachForm();
  const first = await app.run();
  expect(first).toMatchObject({ exitCode: 0, stderr: '' });
  const again = await app.run();
  expect(again.stdout).toContain('0 to run, 4 already applied');
  expect(app.sql('SELECT name, n, CAST(big AS TEXT) AS big, born, active, meta FROM users')).toEqual([
    {
      ...{ name: 'ada', n: 1, big: '1152921504606846976', born: '2024-05-06T07:08:09.010+00:00' },
      ...{ active: 1, meta: '{"a":[1]}' },
    },
    { name: 'bob', n: 8, big: null, born: null, active: 0, meta: null },
    { name: 'cyd', n: 1, big: null, born: null, active: 0, meta: null },
  ]);
  expect(app.sql('SELECT name FROM changes')).toEqual([{ name: 'ada' }, { name: 'bob' }, { name: 'cyd' }]);
  expect(app.registry()).toEqual([
    '001_code success',
    '002_statements success',
    '003_script success',
    '004-class success',
  ]);
  const [row] = app.sql(`SELECT * FROM holdfast_data_migrations WHERE id = '001_code'`);
  expect(row).toMatchObject({ state: 'COMPLETED', rows: 2, attempts: 1, result: '{"recordsProcessed":2}' });
  for (const column of ['started_at', 'finished_at', 'exported_at'])
    expect(row?.[column]).toMatch(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
});

test('a dry run changes no byte, says what would change, and leaves nothing beside the file', async () => {
  app.fill(3);
  app.sql('PRAGMA journal_mode = delete');
  writeEachForm();
  const before = hashOf(app.file);
  const { exitCode, stdout } = await app.run('--dry-run');
  expect(exitCode).toBe(0);
  expect(hashOf(app.file)).toBe(before);
  expect(app.beside()).toEqual(['inventory.db']);
  expect(app.registry()).toBeUndefined();
  expect(stdout).toContain(
    '001_code: would run\n    users: 2 inserted\n      (no row)\n      → {"id":4,"name":"ada"',
  );
  expect(stdout).toContain('changes: 3 inserted');
  expect(stdout).toContain('users: 3 updated\n      {"id":1,"name":"user 1","n":0');
  expect(stdout).toContain('! table changes is made');
  expect(stdout).toContain('003_script: would run\n    users: 1 inserted');
  expect(stdout).toContain('004-class: would run\n    changes no rows');
});

test('a client that does not go by DATABASE_URL in a dry run is told', async () => {
  app.write(
    '001_script.ts',
    `import { DatabaseSync } from 'node:sqlite';
async function main() { new DatabaseSync(${JSON.stringify(app.file)}).exec("INSERT INTO users (name) VALUES ('live')"); }
main();
`,
  );
  const { stdout } = await app.run('--dry-run');
  expect(stdout).toContain('! the database itself was written meanwhile');
});

/** Opens by another variable than DATABASE_URL, as a file that is loaded, and as a script that is run. */
const opensBy = (variable: string): string => `import { DatabaseSync } from 'node:sqlite';
const own = new DatabaseSync(process.env.${variable}!.replace('file:', '').split('?')[0]!);
own.exec('CREATE TABLE IF NOT EXISTS opened (at TEXT); INSERT INTO opened VALUES (1)');
own.close();
`;

test('every variable that names the file leads to the copy in a dry run, and nowhere while it is looked at', async () => {
  app.sql('PRAGMA journal_mode = delete');
  const link = join(app.root, 'link.db');
  symlinkSync(app.file, link);
  const other = join(app.root, 'other.db');
  const env = {
    DIRECT_URL: `file:${link}?connection_limit=1`,
    DATABASE_FILE: app.file,
    OTHER_URL: `file:${other}`,
  };
  app.write('001_script.ts', `${opensBy('DIRECT_URL')}async function main() {}\nmain();\n`);
  app.migration('002_code', '  async up() {},');
  const text = readFileSync(join(app.folder, '002_code.ts'), 'utf8');
  app.write(
    '002_code.ts',
    `${opensBy('DATABASE_FILE')}${opensBy('OTHER_URL').split('\n').slice(1).join('\n').replaceAll('own', 'two')}${text}`,
  );
  const before = hashOf(app.file);
  const { exitCode, stdout, stderr } = await app.runWith(env, '--dry-run');
  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
  expect(stdout).not.toContain('written meanwhile');
  expect(hashOf(app.file)).toBe(before);
  // What names another database is left alone.
  expect(existsSync(other)).toBe(true);
  rmSync(link);
  rmSync(other);
});

test('a failed one stops the run; retry, skip, rerun and down go on from there', async () => {
  app.migration(
    '001_first',
    `  async up(prisma) { await prisma.user.create({ data: { name: 'one' } }); },
  async down(prisma) { await prisma.user.deleteMany({ where: { name: 'one' } }); },`,
  );
  app.migration('002_broken', `  async up() { throw new Error('no such luck'); },`);
  app.migration('003_never', `  async shouldRun() { return false; }, async up() {},`);
  const failed = await app.run();
  expect(failed.exitCode).toBe(1);
  expect(failed.stderr).toContain('cannot apply data migration 002_broken: no such luck');
  expect(app.states()).toEqual(['001_first COMPLETED', '002_broken FAILED']);
  const skipped = await app.run('--skip', '2', '--reason', 'not here');
  expect(skipped.exitCode).toBe(0);
  expect((await app.run()).exitCode).toBe(0);
  expect(app.registry()).toEqual(['001_first success', '002_broken skipped', '003_never not-needed']);
  const refused = await app.run('--retry', '1');
  expect(refused).toMatchObject({
    exitCode: 2,
    stderr: expect.stringContaining('it is COMPLETED') as string,
  });
  expect((await app.run('--rerun', '1')).exitCode).toBe(0);
  expect(app.sql(`SELECT count(*) AS n FROM users WHERE name = 'one'`)).toEqual([{ n: 2 }]);
  expect((await app.run('--down', '1')).exitCode).toBe(0);
  expect(app.sql('SELECT count(*) AS n FROM users')).toEqual([{ n: 0 }]);
  const status = JSON.parse((await app.run('--status', '--json')).stdout) as Record<string, unknown>;
  expect(status).toMatchObject({ applied: ['002_broken', '003_never'], pending: ['001_first'], failed: [] });
});

test('what the operator took out of the registry is pending, what a crash kept out of it is written', async () => {
  app.migration('001_first', `  async up(prisma) { await prisma.user.create({ data: { name: 'one' } }); },`);
  app.migration('002_second', `  async up(prisma) { await prisma.user.create({ data: { name: 'two' } }); },`);
  await app.run();
  app.sql(`UPDATE holdfast_data_migrations SET exported_at = NULL WHERE id = '002_second'`);
  app.write('registry.json', '{"migrations":[]}\n');
  const refused = await app.run();
  expect(refused).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('it is empty') as string });
  const other = { id: '000_other', appliedAt: '2026-01-01', executionTimeMs: 1, status: 'success' };
  app.write('registry.json', JSON.stringify({ migrations: [other] }));
  const { stdout } = await app.run();
  expect(stdout).toContain('→ 001_first');
  expect(stdout).not.toContain('→ 002_second');
  expect(app.registry()).toEqual(['002_second success', '001_first success']);
});

test('over HTTP the same', async () => {
  app.fill(2);
  app.migration(
    '001_add',
    `  async up(prisma) { await prisma.user.updateMany({ data: { n: { increment: 1 } } }); },`,
  );
  const key = 'said-by-nobody-0123456789';
  const { child, url } = await app.serve(key);
  const headers = { 'developer-key': key };
  const tried = await fetch(`${url}/migration/run?dryRun=true`, { method: 'POST', headers });
  expect(tried.status).toBe(200);
  expect(await tried.json()).toMatchObject({
    ok: true,
    events: [{}, { type: 'migration-planned', changes: [{ table: 'users', updated: 2 }] }],
  });
  expect(app.tallied()).toEqual({ 0: 2 });
  const run = await app.runWith({ DEVELOPER_KEY: key, DATABASE_URL: '' }, '--backend-url', url);
  child.kill();
  expect(run).toMatchObject({ exitCode: 0, stderr: '' });
  expect(app.tallied()).toEqual({ 1: 2 });
  expect(app.registry()).toEqual(['001_add success']);
});

test('a file that is not there is not made', async () => {
  const file = join(app.root, 'none.db');
  const { exitCode, stderr } = await app.runWith({ DATABASE_URL: `file:${file}` });
  expect(exitCode).toBe(1);
  expect(stderr).toContain(`the database does not answer (there is no file ${file}). Nothing was changed`);
  expect(existsSync(file)).toBe(false);
});

test('a file that opens its database when it is loaded does so on none while it is only looked at', async () => {
  app.migration(
    '001_opens',
    `  async up(prisma, { log }) { log('users ' + own.prepare('SELECT count(*) AS n FROM users').get().n); },`,
  );
  const text = readFileSync(join(app.folder, '001_opens.ts'), 'utf8');
  app.write(
    '001_opens.ts',
    `import { DatabaseSync } from 'node:sqlite';
const own = new DatabaseSync(process.env.DATABASE_URL!.replace('file:', ''));
own.exec('CREATE TABLE IF NOT EXISTS opened (at TEXT); INSERT INTO opened VALUES (1)');
${text}`,
  );
  const { exitCode, stdout } = await app.run();
  expect({ exitCode, stdout }).toMatchObject({
    exitCode: 0,
    stdout: expect.stringContaining('users 0') as string,
  });
  expect(app.sql('SELECT count(*) AS n FROM opened')).toEqual([{ n: 1 }]);
  expect(readdirSync(tmpdir()).filter((name) => /^holdfast-nowhere-.*\.db/.test(name))).toEqual([]);
});

test('dates are written in the form that the database has them in', async () => {
  app.sql(`INSERT INTO users (name, born) VALUES ('old', 1714979289010)`);
  app.migration(
    '001_dates',
    `  async up(prisma, { batch }) {
    await prisma.user.create({ data: { name: 'new', born: new Date(5) } });
    await batch({ model: 'User', up: ({ born }) => ({ born: new Date(born.getTime() + 1) }) });
  },`,
  );
  await app.run();
  expect(app.sql('SELECT born FROM users')).toEqual([{ born: 1714979289011 }, { born: 6 }]);
});
