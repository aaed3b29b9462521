import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { addOne, DataMigrations } from '../support/data-migrations.ts';

/* What a migration may do to the sessions and the process that it is given, and what it may not. */

let appliance: DataMigrations;

beforeAll(async () => {
  appliance = await DataMigrations.start();
});

beforeEach(async () => {
  await appliance.reset();
  await appliance.sql("INSERT INTO users (name) VALUES ('Ada'), ('Alan')");
});

afterAll(async () => {
  await appliance?.stop();
});

const up = (body: string) => `  async up(prisma, { batch }) { ${body} },`;
const transaction = (body: string) => up(`await prisma.$transaction(async (tx) => { ${body} });`);
const set = (client: string, value: string) =>
  `await ${client}.$executeRaw\`UPDATE users SET n = ${value}\`;`;

describe('a dry run does not hang', () => {
  const orders: Readonly<Record<string, readonly [body: string, n: number, says?: RegExp]>> = {
    'on prisma inside $transaction': [
      `await prisma.$transaction(async (tx) => { ${set('prisma', '1')} await tx.user?.count?.(); });`,
      1,
      /went through "prisma" while \$transaction was at work/,
    ],
    'on a $transaction inside of another, in all its forms': [
      `await prisma.$transaction(async (tx) => {
        ${set('tx', 'n + 1')}
        await prisma.$transaction(async (other) => { ${set('other', 'n + 1')} ${set('tx', 'n')} });
        await prisma.$transaction([prisma.$executeRaw\`UPDATE users SET n = n + 1\`]);
        ${set('tx', 'n + 1')}
      });`,
      4,
    ],
    'on several that come at once': [
      `await Promise.all([1, 2, 3, 4].map(async () => prisma.$transaction(async (tx) => {
        ${set('tx', 'n + 1')} await new Promise((r) => setTimeout(r, 20)); ${set('tx', 'n + 1')}
      })).concat(prisma.$executeRaw\`UPDATE users SET n = n + 1\`));`,
      9,
    ],
    'on two of which the first waits for the second': [
      `const { promise, resolve } = Promise.withResolvers();
      await Promise.all([
        prisma.$transaction(async (tx) => { await promise; ${set('tx', 'n + 1')} }),
        prisma.$transaction(async (tx) => { ${set('tx', 'n + 1')} resolve(); }),
      ]);`,
      2,
    ],
  };

  test.for(Object.entries(orders))('%s', { timeout: 60_000 }, async ([, [body, n, says = /users: /]]) => {
    const check = `if ((await prisma.$queryRaw\`SELECT n FROM users\`)[0].n !== ${n}) throw new Error('lost one');`;
    appliance.migration('001_x', up(`${body} ${check}`));
    const { exitCode, stdout, stderr } = await appliance.run('--dry-run');
    expect(stderr).toBe('');
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(says);
    expect(await appliance.numbers()).toEqual([0, 0]);
  });
});

const waiting: Readonly<Record<string, readonly [text: string, flags: readonly string[], message: RegExp]>> =
  {
    'a pool of its own, in a dry run that holds the table': [
      `import pg from 'pg';
    export const migration = { id: '001_x', async up(prisma) {
      const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL });
      await prisma.$executeRaw\`ALTER TABLE users ADD slug text\`;
      await pool.query('SELECT FROM users'); await pool.end();
    } };`,
      ['--dry-run'],
      /cannot be tried: a client of its own waits for what the transaction of the dry run holds.*Nothing was changed/,
    ],
    'a script of two clients': [
      `import pg from 'pg';
    const [one, two] = [1, 2].map(() => new pg.Client(process.env.DATABASE_URL));
    async function main() {
      await one.connect(); await two.connect(); await one.query('BEGIN');
      await one.query('UPDATE users SET n = 1'); await two.query('UPDATE users SET n = 2');
    }
    main();`,
      [],
      /one of its clients waits for what a transaction of another one of them holds/,
    ],
  };

test.for(Object.entries(waiting))(
  'what waits for itself for ever fails, with why: %s',
  { timeout: 90_000 },
  async ([, [text, flags, message]]) => {
    appliance.write('001_x.ts', text);
    const { exitCode, stderr } = await appliance.run(...flags);
    expect(stderr).toMatch(message);
    expect(exitCode).toBe(1);
    expect(await appliance.numbers()).toEqual([0, 0]);
  },
);

test('a batch inside of $transaction is refused in a dry run as in a real one', async () => {
  appliance.migration(
    '001_x',
    up(
      `await prisma.$transaction(async (tx) => { ${set('tx', 'n + 1')} await batch({ table: 'users', set: 'n = n + 1' }); });`,
    ),
  );
  for (const flags of [['--dry-run'], []])
    expect(await appliance.run(...flags)).toMatchObject({
      exitCode: 1,
      stderr: expect.stringContaining('it begins inside of $transaction, which it is no part of'),
    });
  expect(await appliance.numbers()).toEqual([0, 0]);
});

describe('a real run does not hang', () => {
  test('on prisma instead of tx in a batch: told, with the mend', { timeout: 60_000 }, async () => {
    appliance.migration(
      '001_x',
      `  async up(prisma, { batch }) {
        await batch({ table: 'users', up: async ({ id }) => { await prisma.$executeRaw\`UPDATE users SET n = 1 WHERE id = \${id}\`; } });
      },`,
    );
    const { exitCode, stderr } = await appliance.run();
    expect(stderr).toMatch(/waits for a row that its own batch holds.*use the "tx"/);
    expect(exitCode).toBe(1);
    expect(await appliance.numbers()).toEqual([0, 0]);
    expect(appliance.registry()).toEqual(['001_x failed']);
  });

  test("it waits for somebody else's lock as long as that takes", { timeout: 60_000 }, async () => {
    appliance.migration('001_x', addOne);
    const busy = appliance.sql('BEGIN; UPDATE users SET n = 5; SELECT pg_sleep(9); COMMIT');
    const { exitCode } = await appliance.run();
    await busy;
    expect(exitCode).toBe(0);
    expect(await appliance.numbers()).toEqual([6, 6]);
  });
});

test('a dry run counts what TRUNCATE takes, and not what only moves', async () => {
  await appliance.sql('CREATE TABLE moved AS SELECT 1 AS i');
  appliance.migration(
    '001_x',
    up(`await prisma.$executeRaw\`INSERT INTO users (name) VALUES ('Eve')\`;
    await prisma.$executeRaw\`TRUNCATE users\`;
    await prisma.$executeRaw\`INSERT INTO users (id, name) VALUES (9, 'Grace')\`;
    await prisma.$executeRaw\`ALTER TABLE moved ALTER i TYPE bigint\`;`),
  );
  const { events } = await appliance.run('--dry-run', '--json');
  expect(events).toContainEqual(
    expect.objectContaining({
      type: 'migration-planned',
      changes: [
        {
          ...{ table: 'users', inserted: 1, updated: 0, deleted: 2 },
          samples: expect.arrayContaining([{ before: { id: 1, name: 'Ada', n: 0 }, after: null }]),
        },
      ],
    }),
  );
  expect(await appliance.numbers()).toEqual([0, 0]);
});

describe('the transaction of a dry run', () => {
  test('SET CONSTRAINTS ALL IMMEDIATE finds the own constraints only', async () => {
    await appliance.sql('ALTER TABLE users ADD boss int REFERENCES users DEFERRABLE INITIALLY DEFERRED');
    const immediate = 'await tx.$executeRawUnsafe("SET CONSTRAINTS ALL IMMEDIATE");';
    appliance.migration('001_x', transaction(`${set('tx', '1, boss = id')} ${immediate}`));
    expect(await appliance.run('--dry-run')).toMatchObject({ exitCode: 0, stderr: '' });
    appliance.migration('001_x', transaction(`${set('tx', '1, boss = 77')} ${immediate}`));
    const { stderr } = await appliance.run('--dry-run');
    expect(stderr).toContain('users_boss_fkey');
  });

  test('no COMMIT gets through, even by a way that nobody looks at', async () => {
    appliance.write(
      '001_x.ts',
      `import pg from 'pg';
const query = pg.Client.prototype.query;
export const migration = { id: '001_x', description: 'Commits behind everything.', async up(prisma) {
  let client;
  pg.Client.prototype.query = function (...args) { client = this; return query.apply(this, args); };
  await prisma.$executeRaw\`UPDATE users SET n = 9\`;
  await query.call(client, 'COMMIT').catch((error) => console.log(error.message));
} };`,
    );
    const { stdout, stderr } = await appliance.run('--dry-run');
    expect(stdout).toContain('unsupported ON COMMIT and foreign key combination');
    expect(stderr).toContain('it ends the transaction that it is tried in');
    expect(await appliance.numbers()).toEqual([0, 0]);
  });

  const attempt = (statement: string) => `await tx.$executeRawUnsafe('${statement}').catch(() => {});`;

  test.for([
    ['small', ['rollback', 'begin read write', 'UPDATE users SET n = 9', 'commit']],
    ['as Prisma says it', ['ROLLBACK', 'BEGIN READ WRITE', 'UPDATE users SET n = 9', 'COMMIT']],
  ] as const)('a ROLLBACK, BEGIN READ WRITE and COMMIT, %s: not sent, and told', async ([, statements]) => {
    appliance.migration('001_x', transaction(statements.map(attempt).join(' ')));
    const { exitCode, stderr } = await appliance.run('--dry-run');
    expect(stderr).toMatch(/it ends the transaction that it is tried in: it says ".*", which was not sent/);
    expect(exitCode).toBe(1);
    expect(await appliance.numbers()).toEqual([0, 0]);
  });
});

describe("the engine's channel", () => {
  const forged = JSON.stringify({ type: 'done', done: { status: 'success' } });
  test.for([
    ['garbage', `fs.writeSync(3, 'garbage\\n');`],
    ['a success of its own making', `fs.writeSync(3, ${JSON.stringify(`${forged}\n`)});`],
    ['a second beginning', `fs.writeSync(3, '{"type":"ready"}\\n');`],
    ['null', `fs.writeSync(3, 'null\\n');`],
  ])('%s in it fails the migration, not the engine', async ([, write]) => {
    const body = `const fs = await import('node:fs'); ${write} await new Promise((r) => setTimeout(r, 500));`;
    appliance.migration('001_x', up(`${body} process.exit(0);`));
    appliance.write('002_y.ts', `async function main() { ${body} }\nvoid main();\n`);
    for (const id of ['001_x', '002_y']) {
      const { exitCode, stderr } = await appliance.run('--only', id);
      expect(stderr).toContain(`${id}: it wrote into the engine's channel`);
      expect(exitCode).toBe(1);
    }
    expect(appliance.registry()).toEqual(['001_x failed', '002_y failed']);
  });

  test('what log() and progress() are given is never taken for that', async () => {
    const calls = `log({ a: 1n }); log(undefined); log(); progress(undefined); progress('x', null); progress(1, NaN);`;
    appliance.migration('001_x', `  async up(_, { log, progress }) { ${calls} },`);
    const { stdout } = await appliance.run();
    expect(stdout).toContain('{"a":"1"}');
    expect(appliance.registry()).toEqual(['001_x success']);
  });

  test('process.send() reaches nobody', async () => {
    appliance.migration('001_x', up(`process.send?.(${forged}); process.exit(0);`));
    expect(await appliance.run()).toMatchObject({ exitCode: 1 });
    expect(appliance.registry()).toEqual(['001_x failed']);
  });
});
