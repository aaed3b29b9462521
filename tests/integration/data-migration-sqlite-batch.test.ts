import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { SqliteMigrations } from '../support/data-migrations-sqlite.ts';
import { batch, ended, untilItSays } from '../support/data-migrations.ts';
import { Random } from '../support/random.ts';

/* `context.batch` on SQLite: every row once, whatever happens in between, and every value as it was. */

let app: SqliteMigrations;
beforeAll(async () => void (app = await SqliteMigrations.start()), 60_000);
beforeEach(() => app.reset());
afterAll(() => app.stop());

/** With a write-ahead log, and with a journal that whoever comes next rolls back. */
const journals = ['wal', 'delete'] as const;

test.for(journals)(
  '%s: killed again and again, every row exactly once',
  { timeout: 300_000 },
  async (journal) => {
    const rows = Number(process.env['HOLDFAST_BATCH_ROWS'] ?? 2_000);
    const kills = Number(process.env['HOLDFAST_BATCH_KILLS'] ?? 3);
    const random = new Random(Number(process.env['HOLDFAST_BATCH_SEED'] ?? 1));
    app.sql(`PRAGMA journal_mode = ${journal}`);
    app.fill(rows);
    app.migration(
      '001_add',
      batch(
        `table: 'users', size: 20, targetMs: 20, up: async ({ id, n }, tx) => {
        // On any machine long enough to be killed in.
        if (id % 20 === 0) await new Promise((resolve) => setTimeout(resolve, 10));
        if (id % 10 === 0) await tx.user.update({ where: { id }, data: { n: { increment: 1 } } });
        else return { n: n + 1 };
      }`,
      ),
    );
    let killed = 0;
    for (;;) {
      const child = app.start(['--json']);
      const end = ended(child);
      if (killed < kills) {
        await untilItSays(child, 'migration-progress');
        await new Promise((resolve) => setTimeout(resolve, random.next() * 100));
        const runner = child.pid ?? 0;
        const isOver = child.exitCode !== null || child.signalCode !== null;
        // The runner alone, or its worker with it.
        if (!isOver) process.kill(killed % 3 === 0 ? runner : -runner, 'SIGKILL');
      }
      const { exitCode } = await end;
      if (exitCode === 0) break;
      killed += 1;
      expect(Object.keys(app.tallied()).every((n) => n === '0' || n === '1')).toBe(true);
    }
    expect(app.tallied()).toEqual({ 1: rows });
    // A quick machine is through before the last of them.
    expect(killed).toBeGreaterThanOrEqual(Math.ceil(kills / 2));
    expect(app.sql('SELECT done, failed, finished FROM holdfast_data_migration_batches')).toEqual([
      { done: rows, failed: 0, finished: 1 },
    ]);
  },
);

test('keys of every kind name each row once', async () => {
  const database = app.open();
  database.exec(`
    CREATE TABLE folded (name TEXT COLLATE NOCASE NOT NULL, n INTEGER NOT NULL DEFAULT 0);
    CREATE UNIQUE INDEX folded_name ON folded (name COLLATE BINARY);
    INSERT INTO folded (name) VALUES ('a'), ('A'), ('b'), ('B'), ('it''s'), ('');
    CREATE TABLE paired (a TEXT NOT NULL, b INTEGER NOT NULL, n INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (a, b)) WITHOUT ROWID;
    INSERT INTO paired (a, b) VALUES ('x', 2), ('x', 10), ('y', 1), ('y', -5);
    CREATE TABLE huge (id BIGINT NOT NULL PRIMARY KEY, n INTEGER NOT NULL DEFAULT 0);
    INSERT INTO huge (id) VALUES (9007199254740993), (9007199254740992), (-9223372036854775808), (9223372036854775807);
    CREATE TABLE mixed (k NOT NULL PRIMARY KEY, n INTEGER NOT NULL DEFAULT 0);
    INSERT INTO mixed (k) VALUES (1), (1.5), ('1'), (x'0001'), (x'00'), (2.0), (1e300);
    CREATE TABLE loose (name TEXT, n INTEGER NOT NULL DEFAULT 0);
    CREATE UNIQUE INDEX loose_name ON loose (name);`);
  database.close();
  const tables = ['folded', 'paired', 'huge', 'mixed'];
  app.migration(
    '001_keys',
    `  async up(prisma, { batch, log }) {
    for (const table of ${JSON.stringify(tables)}) {
      const key = table === 'folded' ? 'name' : undefined;
      await batch({ table, key, size: 1, name: table + ' set', set: 'n = n + 1' });
      await batch({ table, key, size: 1, targetMs: 0.001, name: table + ' up', up: ({ n }) => ({ n: n + 1 }) });
    }
    await batch({ table: 'loose', key: 'name', set: 'n = 1' }).catch((error) => log(error.message));
  },`,
  );
  const { exitCode, stderr, stdout } = await app.run();
  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
  for (const table of tables) {
    expect([table, app.sql(`SELECT DISTINCT n FROM ${table}`)]).toEqual([table, [{ n: 2 }]]);
  }
  expect(stdout).toContain('"name" of loose may be null, so it names no row');
});

test('values come back as they were: beyond 2^53, bytes, JSON, dates, of a table and of a model', async () => {
  const big = '9223372036854775807';
  app.sql(
    `INSERT INTO users (name, n, big, born, active, meta, price, data)
     VALUES ('a', 1, ${big}, '2024-05-06T07:08:09.010+00:00', 1, '"text"', 1.25, x'0102')`,
  );
  const all = `SELECT name, n, CAST(big AS TEXT) AS big, born, active, meta, price, hex(data) AS data, typeof(n) AS t FROM users`;
  const before = app.sql(all);
  app.sql('CREATE TABLE wide (id INTEGER PRIMARY KEY, v INTEGER)');
  app.sql('INSERT INTO wide VALUES (1, 1152921504606846977), (2, 5)');
  app.migration(
    '001_values',
    `  async up(prisma, { batch, log }) {
    await batch({ table: 'users', up: ({ id, ...rest }) => { log(typeof rest.big + ' ' + typeof rest.n); return rest; } });
    await batch({ model: 'User', up: ({ id, ...rest }) => { log(rest.big + ' ' + rest.born.toISOString()); return rest; } });
    await batch({ model: 'User', name: 'again', rows: (users) => users.map(({ n }) => ({ n: n + 1 })) });
    await batch({ table: 'users', name: 'number', up: () => ({ name: 7 }) });
    await batch({ table: 'wide', up: ({ id, v }) => ({ v: id === 1 ? v + 1n : v + 1 }) });
  },`,
  );
  const { exitCode, stdout } = await app.run();
  expect(exitCode).toBe(0);
  expect(stdout).toContain('bigint number');
  expect(stdout).toContain(`${big} 2024-05-06T07:08:09.010Z`);
  expect(app.sql(all)).toEqual([{ ...before[0], n: 2, name: '7' }]);
  expect(app.sql('SELECT CAST(v AS TEXT) AS v FROM wide')).toEqual([
    { v: '1152921504606846978' },
    { v: '6' },
  ]);
});

test('rows that fail are left as they were, kept with their reason, and counted', async () => {
  app.fill(50);
  app.sql('CREATE UNIQUE INDEX users_name ON users (name)');
  const up = `up: async ({ id, name }, tx) => {
    await tx.user.update({ where: { id }, data: { n: 1 } });
    if (id % 20 === 0) throw new Error('no row ' + id);
    return { name: id === 7 ? 'user 8' : name };
  }`;
  app.migration('001_some', batch(`table: 'users', maxFailures: 3, size: 30, ${up}`));
  app.migration('002_too_many', batch(`table: 'users', maxFailures: 1, ${up.replace('n: 1', 'n: 5')}`));
  const { exitCode, stderr } = await app.run();
  expect(exitCode).toBe(1);
  expect(stderr).toContain('cannot apply data migration 002_too_many: batch: 3 rows failed, and 1 may');
  expect(app.tallied()).toEqual({ 0: 3, 1: 47 });
  const failures = app.sql(
    'SELECT migration, key, reason FROM holdfast_data_migration_failures ORDER BY key',
  );
  expect(failures).toEqual([
    { migration: '001_some', key: '["20"]', reason: 'row id=20: no row 20' },
    { migration: '001_some', key: '["40"]', reason: 'row id=40: no row 40' },
    { migration: '001_some', key: '["7"]', reason: 'UNIQUE constraint failed: users.name' },
  ]);
});

const rolledBack = [
  [
    'RAISE(ROLLBACK) of a trigger',
    'not the third',
    `rows: (rows, tx) => rows.map(({ n }) => ({ n: n + 1 })), maxFailures: 1`,
  ],
  [
    'ON CONFLICT ROLLBACK, swallowed before a $transaction',
    'nothing of it is kept',
    `up: async ({ id, n }, tx) => {
      await tx.$executeRawUnsafe('INSERT INTO guarded VALUES (' + (id === 3 ? 1 : id + 10) + ')').catch(() => {});
      await tx.$transaction(async (inner) => { await inner.user.update({ where: { id }, data: { n: n + 1 } }); }).catch(() => {});
    }`,
  ],
] as const;

test.for(rolledBack)(
  '%s: nothing of the batch is kept, and no row is done twice',
  async ([kind, said, work]) => {
    app.fill(4);
    app.sql('CREATE TABLE guarded (x INTEGER UNIQUE ON CONFLICT ROLLBACK)');
    app.sql('INSERT INTO guarded VALUES (1)');
    if (kind.startsWith('RAISE'))
      app.sql(
        `CREATE TRIGGER guard BEFORE UPDATE ON users WHEN new.id = 3 BEGIN SELECT RAISE(ROLLBACK, 'not the third'); END`,
      );
    app.migration('001_add', batch(`table: 'users', ${work}`));
    const { exitCode, stderr } = await app.run();
    expect(exitCode).toBe(1);
    expect(stderr).toContain('SQLite has rolled the transaction back');
    expect(stderr).toContain(said);
    expect(app.tallied()).toEqual({ 0: 4 });
    expect(app.sql('SELECT count(*) AS n FROM guarded')).toEqual([{ n: 1 }]);
    expect(app.sql('SELECT count(*) AS n FROM holdfast_data_migration_failures')).toEqual([{ n: 0 }]);
  },
);

test('rows that move to where the batch has yet to come are refused, by "set" or by a trigger', async () => {
  const database = app.open();
  for (const table of ['plain', 'triggered', 'counted', 'copied', 'suppressed'])
    database.exec(`CREATE TABLE ${table} (id INTEGER NOT NULL PRIMARY KEY, n INTEGER NOT NULL DEFAULT 0);
      INSERT INTO ${table} (id) VALUES (1), (2), (3);`);
  database.exec(`
    CREATE TABLE log (id INTEGER);
    CREATE TRIGGER moves AFTER UPDATE OF n ON triggered BEGIN UPDATE triggered SET id = id + 1000 WHERE id = new.id; END;
    CREATE TRIGGER logs AFTER UPDATE ON counted BEGIN INSERT INTO log VALUES (new.id); DELETE FROM counted WHERE id = 2; END;
    CREATE TRIGGER leaves BEFORE UPDATE ON suppressed WHEN old.id = 2 BEGIN SELECT RAISE(IGNORE); END;`);
  database.close();
  app.migration(
    '001_move',
    `  async up(prisma, { batch, log }) {
    const sets = ['n = n + 1, [id] = id + 1000', 'n = n + 1, /* on */ id = id + 1000', '(n, id) = (n + 1, id + 1000)'];
    for (const set of sets)
      await batch({ table: 'plain', name: set, set, size: 2 }).catch((error) => log('refused: ' + error.message));
    await batch({ table: 'triggered', set: 'n = n + 1', size: 2 }).catch((error) => log('refused: ' + error.message));
    await batch({ table: 'triggered', name: 'by up', up: ({ n }) => ({ n: n + 1 }), size: 2 }).catch((error) => log('refused: ' + error.message));
    await batch({ table: 'suppressed', set: 'n = n + 1' }).catch((error) => log('refused: ' + error.message));
    await batch({ table: 'counted', set: 'n = n + 1', size: 2 });
    await batch({ table: 'copied', set: 'id = -id, n = n + 1 -- back', size: 2 });
  },`,
  );
  const { exitCode, stdout, stderr } = await app.run('--timeout', '60s');
  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
  expect(
    stdout.match(
      /refused: batch: the key \(id\) of rows of \w+ moves on to where the batch has yet to come/g,
    ),
  ).toHaveLength(5);
  expect(stdout).toContain('refused: batch: 1 rows of suppressed were not changed: a trigger left them out');
  expect(app.sql('SELECT sum(n) AS n FROM suppressed')).toEqual([{ n: 0 }]);
  for (const table of ['plain', 'triggered'])
    expect(app.sql(`SELECT max(id) AS id, sum(n) AS n FROM ${table}`)).toEqual([{ id: 3, n: 0 }]);
  expect(app.sql('SELECT id, n FROM counted')).toEqual([
    { id: 1, n: 1 },
    { id: 3, n: 1 },
  ]);
  expect(app.sql('SELECT id, n FROM copied')).toEqual([-3, -2, -1].map((id) => ({ id, n: 1 })));
});

test('mended after it failed: its rows are not done twice, nor taken back before they are done', async () => {
  app.fill(20);
  const body = (table: string, odd: string) =>
    `${batch(`${table} size: 4, up: ({ id, n }) => { ${odd} return { n: n + 1 }; }`)}
  async down(_, { batch }) { await batch({ table: 'users', set: 'n = n - 1' }); },`;
  app.migration('001_x', body(`table: 'users',`, `if (id === 15) throw new Error('row 15 is odd');`));
  expect(await app.run()).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('15 is odd') });
  expect(await app.run('--down', '1')).toMatchObject({
    exitCode: 2,
    stderr: expect.stringContaining('its up() ended half-way'),
  });
  app.migration('001_x', body(`table: 'users', name: 'add',`, ''));
  expect(await app.run()).toMatchObject({
    exitCode: 1,
    stderr: expect.stringContaining('an earlier attempt did 12 rows of that table as "users"'),
  });
  app.migration('001_x', body(`table: 'Users',`, ''));
  expect(await app.run()).toMatchObject({ exitCode: 0 });
  expect(app.tallied()).toEqual({ 1: 20 });
});

test('a key that is not read as it is ends the batch, and "where" may end in a comment', async () => {
  app.fill(2);
  app.sql('CREATE TABLE bytes (k TEXT NOT NULL PRIMARY KEY, n INTEGER NOT NULL DEFAULT 0)');
  app.sql(`INSERT INTO bytes (k) VALUES ('abb'), (CAST(x'616263FF' AS TEXT))`);
  app.migration(
    '001_bytes',
    `  async up(prisma, { batch, log }) {
    const went = async (options) => await batch(options).catch((error) => log('refused: ' + error.message));
    await went({ table: 'bytes', name: 'set', set: 'n = n + 1' });
    let calls = 0;
    await went({ table: 'bytes', name: 'up', size: 1, up: () => void (calls += 1) });
    log('calls: ' + calls);
    await batch({ table: 'users', set: 'n = 1', where: 'n = 0 -- those that are left' });
    await batch({ table: 'users', name: 'users up', up: () => ({ n: 2 }), where: 'n = 1 -- those that are left' });
  },`,
  );
  const { exitCode, stdout, stderr } = await app.run('--timeout', '60s');
  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
  expect(stdout.match(/refused: batch: the key \(k\) of bytes does not lead on from 'abc/g)).toHaveLength(2);
  expect(stdout).toContain('calls: 1');
  expect(app.sql('SELECT DISTINCT n FROM bytes')).toEqual([{ n: 0 }]);
  expect(app.tallied()).toEqual({ 2: 2 });
});
