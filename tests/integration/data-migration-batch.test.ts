import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { batch, DataMigrations, ended, untilItSays } from '../support/data-migrations.ts';
import { Random } from '../support/random.ts';

/* `context.batch`: every row once, whatever happens in between. */

let appliance: DataMigrations;

beforeAll(async () => {
  appliance = await DataMigrations.start();
});

beforeEach(async () => {
  await appliance.reset();
});

afterAll(async () => {
  await appliance?.stop();
});

const ways: Readonly<Record<string, string>> = {
  'one UPDATE for each batch': batch(`table: 'users', set: 'n = n + 1'`),
  'changes of a whole batch': batch(`table: 'users', rows: (rows) => rows.map(({ n }) => ({ n: n + 1 }))`),
  'row by row': batch(`table: 'users', up: ({ n }) => ({ n: n + 1 })`),
  'row by row, through Prisma': batch(
    `table: 'users', up: async ({ id }, tx) => { await tx.$executeRaw\`UPDATE users SET n = n + 1 WHERE id = \${id}\`; }`,
  ),
};

test.for(Object.entries(ways))('%s: every row once', async ([, body]) => {
  await appliance.fill(3500);
  appliance.migration('001_add', body);
  const { exitCode, events } = await appliance.run('--json');
  expect(events.at(-1)).toMatchObject({ ok: true });
  expect(exitCode).toBe(0);
  expect(events).toContainEqual(expect.objectContaining({ type: 'migration-finished', rows: 3500 }));
  expect(events).toContainEqual(
    expect.objectContaining({ type: 'migration-progress', done: 3500, total: 3500 }),
  );
  expect(await appliance.tallied()).toEqual({ 1: 3500 });
});

test('killed at random instants, again and again: every row exactly once', { timeout: 900_000 }, async () => {
  const rows = Number(process.env['HOLDFAST_BATCH_ROWS'] ?? 40_000);
  const kills = Number(process.env['HOLDFAST_BATCH_KILLS'] ?? 8);
  const random = new Random(Number(process.env['HOLDFAST_BATCH_SEED'] ?? 1));
  await appliance.fill(rows);
  appliance.migration(
    '001_add',
    batch(`table: 'users', size: 200, targetMs: 20, up: async ({ n }) => ({ n: n + 1 })`),
  );
  let killed = 0;
  let resumed = 0;
  for (;;) {
    const child = appliance.start(['--json']);
    const end = ended(child);
    if (killed < kills) {
      // Every fourth at any instant since its start, the others while it is at the rows.
      const atRows = killed % 4 !== 0;
      if (atRows) await untilItSays(child, 'migration-progress');
      await new Promise((resolve) => setTimeout(resolve, random.next() * (atRows ? 150 : 1000)));
      // The engine alone, or its worker with it.
      const engine = child.pid ?? 0;
      const isOver = child.exitCode !== null || child.signalCode !== null;
      if (!isOver) process.kill(killed % 3 === 0 ? -engine : engine, 'SIGKILL');
    }
    const { exitCode, events } = await end;
    if (events.some(({ type, resumes }) => type === 'migration-started' && resumes === true)) resumed += 1;
    if (exitCode === 0) break;
    killed += 1;
    expect(Object.keys(await appliance.tallied()).every((n) => n === '0' || n === '1')).toBe(true);
  }
  expect(await appliance.tallied()).toEqual({ 1: rows });
  // A quick machine is through before the last of them.
  expect(killed).toBeGreaterThanOrEqual(Math.ceil(kills / 2));
  expect(resumed).toBeGreaterThan(0);
  expect(appliance.registry()).toEqual(['001_add success']);
  expect(
    await appliance.sql('SELECT done::int, failed::int, finished FROM holdfast.data_migration_batches'),
  ).toEqual([{ done: rows, failed: 0, finished: true }]);
});

describe('keys', () => {
  const tables: Readonly<Record<string, readonly [definition: string, rows: string, options: string]>> = {
    'text, in the order of the database': [
      'key text PRIMARY KEY',
      `SELECT md5(i::text) || chr(200 + i % 50) FROM generate_series(1, 2500) i`,
      '',
    ],
    uuid: [
      'key uuid PRIMARY KEY DEFAULT gen_random_uuid(), i int',
      'SELECT gen_random_uuid(), i FROM generate_series(1, 2500) i',
      '',
    ],
    'bigint beyond what a number holds': [
      'key bigint PRIMARY KEY',
      'SELECT 9007199254740993 + i FROM generate_series(1, 2500) i',
      '',
    ],
    'two columns': [
      'a int, b text, PRIMARY KEY (a, b)',
      `SELECT i % 50, 'b' || i FROM generate_series(1, 2500) i`,
      '',
    ],
    'a unique column that was named': [
      'id int PRIMARY KEY, code timestamptz NOT NULL UNIQUE',
      `SELECT -i, now() + i * interval '1 microsecond' FROM generate_series(1, 2500) i`,
      `key: 'code',`,
    ],
  };

  test.for(
    Object.entries(tables).flatMap(([what, table]) =>
      [`set: 'n = n + 1'`, 'up: ({ n }) => ({ n: n + 1 })'].map((how) => [what, table, how] as const),
    ),
  )('%s, %#: every row once', async ([, [definition, rows, options], how]) => {
    await appliance.sql(
      `CREATE TABLE "Odd ""table" (${definition}, n int NOT NULL DEFAULT 0); INSERT INTO "Odd ""table" ${rows}`,
    );
    appliance.migration('001_add', batch(`table: 'Odd "table', size: 100, ${options} ${how}`));
    const { exitCode, stderr } = await appliance.run();
    expect(stderr).toBe('');
    expect(exitCode).toBe(0);
    expect(await appliance.sql('SELECT n, count(*)::int AS rows FROM "Odd ""table" GROUP BY n')).toEqual([
      { n: 1, rows: 2500 },
    ]);
  });

  test.for([
    ['is not unique', `table: 'users', key: 'n', set: 'n = 1'`, /\(n\) of users is not unique/],
    ['may be null', `table: 'users', key: 'name', set: 'n = 1'`, /"name" of users may be null/],
    ['is not there', `table: 'users', key: 'nix', set: 'n = 1'`, /users has no column "nix"/],
    ['of a table that is not there', `table: 'nix', set: 'n = 1'`, /there is no table nix/],
    ['of a model that is not there', `model: 'Nix', up: () => {}`, /there is no model "Nix" \(there are /],
    ['with two things to do', `table: 'users', set: 'n = 1', up: () => {}`, /one of "set", "rows" and "up"/],
  ] as const)('a key that %s fails with the mend', async ([, options, message]) => {
    await appliance.fill(1);
    appliance.migration('001_bad', batch(options));
    const { exitCode, stderr } = await appliance.run();
    expect(stderr).toMatch(message);
    expect(exitCode).toBe(1);
    expect(await appliance.tallied()).toEqual({ 0: 1 });
  });
});

test('an empty table, and one that grows meanwhile', async () => {
  appliance.migration('001_empty', batch(`table: 'users', set: 'n = n + 1'`));
  expect(await appliance.run()).toMatchObject({ exitCode: 0 });
  await appliance.fill(500);
  appliance.migration(
    '002_grows',
    `  async up(prisma, { batch }) {
    let more = 3;
    await batch({ table: 'users', size: 500, up: async ({ id, n }, tx) => {
      if (id === 1 || id === 501 || id === 1001) await prisma.$executeRaw\`INSERT INTO users (name) SELECT 'late' FROM generate_series(1, 500)\`;
      return { n: n + 1 };
    } });
  },`,
  );
  expect(await appliance.run()).toMatchObject({ exitCode: 0 });
  expect(await appliance.tallied()).toEqual({ 1: 2000 });
});

test('a model of Prisma, by its fields', async () => {
  await appliance.sql(`
    CREATE TYPE "MachineStatus" AS ENUM ('active', 'maintenance', 'retired');
    CREATE TABLE departments (id int GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, name text UNIQUE NOT NULL, code text,
      created_at timestamptz(3) NOT NULL DEFAULT now(), updated_at timestamptz(3) NOT NULL DEFAULT now());
    INSERT INTO departments (name) SELECT 'd' || i FROM generate_series(1, 2500) i`);
  appliance.migration(
    '001_codes',
    batch(
      `model: 'Department', where: { name: { not: 'd7' } }, size: 300, up: ({ id, name }) => ({ code: name + '-' + id, createdAt: new Date(0) })`,
    ),
  );
  const { exitCode, stderr } = await appliance.run();
  expect(stderr).toBe('');
  expect(exitCode).toBe(0);
  expect(
    await appliance.sql(`SELECT count(*)::int AS rows, count(code)::int AS codes, min(created_at) = to_timestamp(0) AS dated
      FROM departments WHERE name <> 'd7' AND code = name || '-' || id`),
  ).toEqual([{ rows: 2499, codes: 2499, dated: true }]);
  expect(await appliance.sql("SELECT code FROM departments WHERE name = 'd7'")).toEqual([{ code: null }]);
});

describe('rows that fail', () => {
  const choosy = (more: string) =>
    batch(`table: 'users', size: 400, ${more} up: ({ id, n }) => {
      if (id % 500 === 0) throw new Error('no name for ' + id);
      return { n: n + 1 };
    }`);

  test('none may by default: the row is named, and the batch taken back', async () => {
    await appliance.fill(1500);
    appliance.migration('001_choosy', choosy(''));
    const { exitCode, stderr } = await appliance.run();
    expect(stderr).toContain('row id=500: no name for 500');
    expect(exitCode).toBe(1);
    expect(await appliance.tallied()).toEqual({ 0: 1100, 1: 400 });
    expect(appliance.registry()).toEqual(['001_choosy failed']);
  });

  test('as many as may are left out, and kept with their reason', async () => {
    await appliance.fill(1500);
    appliance.migration('001_choosy', choosy('maxFailures: 3,'));
    const { exitCode } = await appliance.run();
    expect(exitCode).toBe(0);
    expect(await appliance.tallied()).toEqual({ 0: 3, 1: 1497 });
    expect(
      await appliance.sql('SELECT key, reason FROM holdfast.data_migration_failures ORDER BY reason'),
    ).toEqual([1000, 1500, 500].map((id) => ({ key: [`${id}`], reason: `row id=${id}: no name for ${id}` })));
    expect(await appliance.sql('SELECT done::int, failed::int FROM holdfast.data_migration_batches')).toEqual(
      [{ done: 1497, failed: 3 }],
    );
  });

  test('one more is too many', async () => {
    await appliance.fill(1500);
    appliance.migration('001_choosy', choosy('maxFailures: 2,'));
    const { exitCode, stderr } = await appliance.run();
    expect(exitCode).toBe(1);
    expect(stderr).toContain('3 rows failed, and 2 may');
  });

  test('those that the database refuses are found among the others', async () => {
    await appliance.fill(1000);
    await appliance.sql('ALTER TABLE users ADD CHECK (n < 1 OR id NOT IN (3, 700))');
    appliance.migration(
      '001_refused',
      batch(`table: 'users', maxFailures: 2, rows: (rows) => rows.map(() => ({ n: 1 }))`),
    );
    expect(await appliance.run()).toMatchObject({ exitCode: 0 });
    expect(await appliance.tallied()).toEqual({ 0: 2, 1: 998 });
    expect(await appliance.sql('SELECT key FROM holdfast.data_migration_failures ORDER BY key')).toEqual([
      { key: ['3'] },
      { key: ['700'] },
    ]);
  });
});
