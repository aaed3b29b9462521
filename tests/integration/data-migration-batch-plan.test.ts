import { renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { batch, DataMigrations } from '../support/data-migrations.ts';

/* A migration that was mended goes on where it was: no row twice, none left out, and what stays as it was is told. */

let appliance: DataMigrations;

beforeAll(async () => {
  appliance = await DataMigrations.start();
});

beforeEach(async () => {
  await appliance.reset();
  await appliance.fill(20);
});

afterAll(async () => {
  await appliance?.stop();
});

const odd = `if (id === 15) throw new Error('row 15 is odd');`;
const first = `table: 'users', size: 4, where: 'id <> 3', up: ({ id, n }) => { ${odd} return { n: n + 1 }; }`;
const mends: Readonly<Record<string, readonly [earlier: string, mended: string, message: RegExp]>> = {
  'another key': [
    batch(first),
    batch(first.replace('up:', `key: 'code', up:`).replace(odd, '')),
    /"users" has another key \(code\) than when it was left off after 12 rows.* --rerun 001_x/,
  ],
  'another "where"': [
    batch(first),
    batch(first.replace('id <> 3', 'true').replace(odd, '')),
    /"users" has another "where" than when it was left off after 12 rows.* --rerun 001_x/,
  ],
  'another "set" of one that was finished': [
    `  async up(_, { batch }) { await batch({ table: 'users', set: 'n = 5' }); throw new Error('row 15 is odd'); },`,
    batch(`table: 'users', set: 'n = 1'`),
    /"users" was finished, and was changed since: its 20 rows are as the earlier text left them; .* --rerun 001_x/,
  ],
};

test.for(Object.entries(mends))(
  'mended with %s: refused, and the command that does all afresh is told',
  async ([, [earlier, mended, message]]) => {
    await appliance.sql(`ALTER TABLE users ADD code text; UPDATE users SET code = lpad((21 - id)::text, 3, '0');
      ALTER TABLE users ALTER code SET NOT NULL, ADD UNIQUE (code)`);
    appliance.migration('001_x', earlier);
    expect(await appliance.run()).toMatchObject({
      exitCode: 1,
      stderr: expect.stringContaining('15 is odd'),
    });
    const before = await appliance.numbers();
    appliance.migration('001_x', mended);
    const { exitCode, stderr } = await appliance.run();
    expect(stderr).toMatch(message);
    expect(exitCode).toBe(1);
    expect(await appliance.numbers()).toEqual(before);
    expect(await appliance.run('--rerun', '1')).toMatchObject({ exitCode: 0, stderr: '' });
    expect((await appliance.numbers()).at(-1)).toBe(1);
  },
);

test('a mended callback goes on with the rest, and that is told; a filter that moves with the time is no change', async () => {
  await appliance.sql('ALTER TABLE users ADD at timestamptz NOT NULL DEFAULT now()');
  const moving = first.replace(`'id <> 3'`, "`at < '${new Date(Date.now() + 60_000).toISOString()}'`");
  appliance.migration('001_x', batch(moving));
  expect(await appliance.run()).toMatchObject({ exitCode: 1 });
  // The same file: only the time has changed.
  expect(await appliance.run()).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('15 is odd') });
  await appliance.sql('TRUNCATE holdfast.data_migration_batches; UPDATE users SET n = 0');
  appliance.migration('001_x', batch(first));
  await appliance.run();
  appliance.migration('001_x', batch(first.replace(odd, '')));
  expect(await appliance.run()).toMatchObject({
    exitCode: 0,
    stdout: expect.stringContaining('12 rows were done by the earlier text and stay so'),
  });
  expect(await appliance.tallied()).toEqual({ 0: 1, 1: 19 });
});

/** Fails at the 15th row, when 12 are done, unless it is mended. */
const adding = (options: string, isMended = false) =>
  batch(
    `${options} size: 4, up: ({ id, n }) => { ${isMended ? '' : `if (id === 15) throw new Error('row 15 is odd');`} return { n: n + 1 }; }`,
  );

/** Whatever is done with it, the 12 rows are not done twice. */
async function failHalfWay(): Promise<void> {
  appliance.migration('001_x', adding(`table: 'users',`));
  expect(await appliance.run()).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('15 is odd') });
  expect(await appliance.tallied()).toEqual({ 0: 8, 1: 12 });
}

describe('the name of a batch', () => {
  test('by default is that of the table, however it is written, and its place among the others', async () => {
    await appliance.sql('ALTER TABLE users ADD m int NOT NULL DEFAULT 0');
    const then = (second: string, options: string, isMended = false) =>
      adding(options, isMended).replace(
        'return await',
        `await batch({ table: 'users', set: 'm = m + 1' }); ${second} return await`,
      );
    appliance.migration('001_x', then('', `table: 'users',`));
    expect(await appliance.run()).toMatchObject({
      exitCode: 1,
      stderr: expect.stringContaining('15 is odd'),
    });
    const before = await appliance.sql('SELECT n, m FROM users ORDER BY id');

    // One more would take the rows of the one that was cut off.
    appliance.migration(
      '001_x',
      then(`await batch({ table: 'users', set: 'm = m + 5' });`, `table: 'users',`, true),
    );
    const { stderr, exitCode } = await appliance.run();
    expect(stderr).toMatch(/"users#2" was changed, and so was the number of batches.* --rerun 001_x/);
    expect(exitCode).toBe(1);
    expect(await appliance.sql('SELECT n, m FROM users ORDER BY id')).toEqual(before);

    appliance.migration('001_x', then('', `table: 'public.users',`, true));
    expect(await appliance.run()).toMatchObject({ exitCode: 0, stderr: '' });
    expect(await appliance.sql('SELECT n, m, count(*)::int FROM users GROUP BY 1, 2')).toEqual([
      { n: 1, m: 1, count: 20 },
    ]);
  });

  test('that is another one than before: refused, and so is an order that was turned round', async () => {
    await failHalfWay();
    const half = await appliance.tallied();
    const other = `await batch({ table: 'users', set: 'n = 7', where: 'false' });`;
    const turned = adding(`table: 'users',`, true).replace('return await', `${other} return await`);
    for (const [body, message] of [
      [
        adding(`table: 'users', name: 'add one',`, true),
        /"add one" begins with the first row, and an earlier attempt did 12 rows of that table as "users": give it back its name \(name: 'users'\)/,
      ],
      [turned, /"users" has another "where"/],
    ] as const) {
      appliance.migration('001_x', body);
      const { stderr, exitCode } = await appliance.run();
      expect(stderr).toMatch(message);
      expect(exitCode).toBe(1);
      expect(await appliance.tallied()).toEqual(half);
    }
    appliance.migration('001_x', adding(`table: 'public.users', name: 'users',`, true));
    expect(await appliance.run()).toMatchObject({ exitCode: 0 });
    expect(await appliance.tallied()).toEqual({ 1: 20 });
  });
});

test('a half-done migration whose file is gone: told, and nothing runs until it is back or left out', async () => {
  await failHalfWay();
  const [old, renumbered] = ['001_x.ts', '002_x.ts'].map((name) => join(appliance.folder, name)) as [
    string,
    string,
  ];
  renameSync(old, renumbered);
  appliance.migration('002_x', adding(`table: 'users',`, true));
  const status = await appliance.run('--status');
  expect(status.stdout).toMatch(/failed: 1\n {2}001_x/);
  expect(status.stdout).toMatch(
    /warning: 001_x is half done \(12 rows\), and its file is gone: .* --skip 001_x/,
  );
  for (const args of [[], ['--dry-run']])
    expect(await appliance.run(...args)).toMatchObject({
      exitCode: 2,
      stderr: expect.stringContaining('001_x is half done (12 rows), and its file is gone'),
    });
  expect(await appliance.tallied()).toEqual({ 0: 8, 1: 12 });
  rmSync(renumbered);
  appliance.migration('002_x', batch(`table: 'users', set: 'n = 1', where: 'n = 0'`));
  expect(await appliance.run('--skip', '001_x', '--reason', '002 does the rest')).toMatchObject({
    exitCode: 0,
  });
  expect(await appliance.run()).toMatchObject({ exitCode: 0 });
  expect(await appliance.tallied()).toEqual({ 1: 20 });
});

test('one that failed half-way is not taken back; skipped and put back it goes on where it was', async () => {
  const down = `\n  async down(_, { batch }) { await batch({ table: 'users', set: 'n = n - 1' }); },`;
  appliance.migration('001_x', adding(`table: 'users',`) + down);
  await appliance.run();
  const refused = await appliance.run('--down', '1');
  expect(refused.stderr).toMatch(
    /cannot take data migration 001_x back: its up\(\) ended half-way.*--retry 001_x/,
  );
  expect(refused.exitCode).toBe(2);
  expect(await appliance.tallied()).toEqual({ 0: 8, 1: 12 });

  appliance.migration('001_x', adding(`table: 'users',`, true) + down);
  await appliance.run('--skip', '1', '--reason', 'not today');
  expect((await appliance.run('--down', '1')).stderr).toMatch(
    /--retry puts it back, .* go on where they were/,
  );
  expect(await appliance.run('--retry', '1')).toMatchObject({ exitCode: 0 });
  expect(await appliance.tallied()).toEqual({ 1: 20 });
  expect(await appliance.run('--down', '1')).toMatchObject({ exitCode: 0 });
  expect(await appliance.tallied()).toEqual({ 0: 20 });
});

test('--rerun of one that did some rows says that it begins with the first', async () => {
  await failHalfWay();
  await appliance.run('--skip', '1', '--reason', 'not today');
  const { stdout, stderr } = await appliance.run('--rerun', '1');
  expect(stdout + stderr).toContain('the 12 rows that its batches did are done once more');
});

describe('what a migration imports', () => {
  const helper = (word: string, where: string, later: string) =>
    appliance.write(
      'helper.ts',
      `export const word = () => '${word}'; export const WHERE = '${where}'; export const later = (id: number) => { ${later} };`,
    );

  test('was mended after a batch was finished: told, and a verify() that fails of it names what does all afresh', async () => {
    helper('wrong', 'true', `throw new Error('later');`);
    appliance.migration(
      '001_x',
      `async up(prisma, { batch }) { const { word, later, WHERE } = await import('./helper.ts');
         await batch({ table: 'users', where: WHERE, up: () => ({ name: word() }) }); later(0); },
       async verify(prisma) { return (await prisma.$queryRaw\`SELECT FROM users WHERE name = 'right'\`).length === 20; },`,
    );
    await appliance.run();
    helper('right', 'true', '');
    const { stdout, stderr, exitCode } = await appliance.run();
    expect(stdout).toContain(
      '"users" is not done again: its 20 rows are as an earlier text of the migration',
    );
    expect(stderr).toMatch(
      /20 rows of "users" were done by an earlier text: --rerun 001_x does all of it afresh/,
    );
    expect(exitCode).toBe(1);
    expect(await appliance.run('--rerun', '1')).toMatchObject({ exitCode: 0, stderr: '' });
    expect(await appliance.sql(`SELECT DISTINCT name FROM users`)).toEqual([{ name: 'right' }]);
  });

  test('was mended before that: told, unless it changed which rows are meant', async () => {
    const fourteenth = `if (id === 14) throw new Error('row 14 is odd');`;
    helper('', 'id % 2 = 0', fourteenth);
    appliance.migration(
      '001_x',
      `async up(_, { batch }) { const { later, WHERE } = await import('./helper.ts');
         await batch({ table: 'users', where: WHERE, size: 2, up: ({ id, n }) => { later(id); return { n: n + 1 }; } }); },`,
    );
    expect(await appliance.run()).toMatchObject({
      exitCode: 1,
      stderr: expect.stringContaining('14 is odd'),
    });
    const half = await appliance.tallied();
    helper('', 'true', '');
    expect(await appliance.run()).toMatchObject({
      exitCode: 1,
      stderr: expect.stringContaining('"users" has another "where"'),
    });
    expect(await appliance.tallied()).toEqual(half);
    helper('', 'id % 2 = 0', '');
    expect(await appliance.run()).toMatchObject({
      exitCode: 0,
      stdout: expect.stringContaining('"users" goes on: 6 rows were done by an earlier text'),
    });
    expect(await appliance.tallied()).toEqual({ 0: 10, 1: 10 });
  });
});
