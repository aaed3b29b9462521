import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { batch, DataMigrations, type EngineEnd } from '../support/data-migrations.ts';

/* What a batch read and gives back is written as it was; what is no value of a column is refused, never written. */

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

const values: readonly (readonly [type: string, value: string])[] = [
  ['interval', '1 day 02:00:00.5'],
  ['interval[]', '{1 day,NULL}'],
  ['date[]', '{2026-01-01,2026-07-01}'],
  ['timestamp[]', '{2026-01-01 00:00:00.123456}'],
  ['timestamptz[]', '{2026-01-01 00:00:00.123456+00}'],
  ['timestamp', '2026-03-29 02:30:00.123456'],
  ['timestamptz', '2026-01-01 00:00:00.123456+00'],
  ['timestamptz', '0044-03-15 00:00:00+00 BC'],
  ['date', '12026-01-01'],
  ['timestamptz', 'infinity'],
  ['numeric[]', '{1.10,12345678901234567890.123}'],
  ['numeric', 'NaN'],
  ['jsonb', '{"id": 12345678901234567890, "price": 1.10}'],
  ['json', '{"b":1, "a":2, "b":3}'],
  ['jsonb[]', '{"\\"1\\"","null",NULL,"{\\"a\\": 1}"}'],
  ['int[]', '[5:6]={1,2}'],
  ['point', '(1,2)'],
  ['circle', '<(1,2),3>'],
  ['point[]', '{"(1,2)"}'],
  ['bytea[]', '{"\\\\x00ff"}'],
  ['text[]', '{NULL,"NULL","a\\"b",""}'],
  ['float4', '0.1'],
  ['float8', '-Infinity'],
  ['int4range', '[1,5)'],
  ['money', '$1,234.50'],
];

test('every type comes back as it was, copied to another column or given back with its row', async () => {
  for (const [index, [type, value]] of values.entries())
    await appliance.sql(`CREATE TABLE t${index} (id int PRIMARY KEY, v ${type}, w ${type}, n int, g int GENERATED ALWAYS AS (n) STORED);
      INSERT INTO t${index} VALUES (1, '${value}'), (2, NULL)`);
  appliance.migration(
    '001_x',
    `  async up(_, { batch }) {
    for (let i = 0; i < ${values.length}; i += 1) {
      await batch({ table: 't' + i, name: 'copy ' + i, up: ({ v }) => ({ w: v }) });
      await batch({ table: 't' + i, name: 'spread ' + i, up: (row) => ({ ...row, n: 1 }) });
    }
  },`,
  );
  await appliance.sql(
    `CREATE TABLE before (t int, v text); ${values.map((_, i) => `INSERT INTO before SELECT ${i}, v::text FROM t${i} WHERE id = 1`).join(';')}`,
  );
  expect(await appliance.runWith({ TZ: 'Europe/Berlin' })).toMatchObject({ exitCode: 0, stderr: '' });
  const wrong = await appliance.sql(
    values
      .map(([type], i) =>
        `SELECT '${type}' AS type, b.v AS was, t.v::text AS v, t.w::text AS w, n FROM t${i} t JOIN before b ON t = ${i}
          WHERE id = 1 AND (t.v::text <> b.v OR t.w::text IS DISTINCT FROM b.v OR n IS DISTINCT FROM 1)`.replace(
          'ON t =',
          'ON b.t =',
        ),
      )
      .join(' UNION ALL '),
  );
  expect(wrong).toEqual([]);
});

test("JSON's null stays with its row; what was changed in place is written; a callback that is called again gets the row anew", async () => {
  await appliance.sql(`CREATE TABLE docs (id int PRIMARY KEY, j jsonb NOT NULL, at timestamp NOT NULL, n int NOT NULL DEFAULT 0 CHECK (n < 2 AND (id <> 4 OR n = 0)));
    INSERT INTO docs SELECT i, CASE i WHEN 1 THEN 'null' ELSE '{"a": [1]}' END::jsonb, '2026-01-01 00:00:00.123456' FROM generate_series(1, 4) i`);
  appliance.migration(
    '001_x',
    batch(
      `table: 'docs', maxFailures: 1, up: (row) => { row.n += 1; if (row.id === 2) { row.j.a.push(2); row.at.setUTCFullYear(2030); } return row; }`,
    ),
  );
  expect(await appliance.run()).toMatchObject({ exitCode: 0 });
  expect(await appliance.sql('SELECT id, j::text, at::text, n FROM docs ORDER BY id')).toEqual([
    { id: 1, j: 'null', at: '2026-01-01 00:00:00.123456', n: 1 },
    { id: 2, j: '{"a": [1, 2]}', at: '2030-01-01 00:00:00.123', n: 1 },
    { id: 3, j: '{"a": [1]}', at: '2026-01-01 00:00:00.123456', n: 1 },
    { id: 4, j: '{"a": [1]}', at: '2026-01-01 00:00:00.123456', n: 0 },
  ]);
});

/** Each as a batch of its own within one migration, over one row: what became of it. */
async function tryEach(cases: readonly string[], head = ''): Promise<string[]> {
  await appliance.sql(`CREATE TABLE docs (id int PRIMARY KEY, name text, n int CHECK (n >= 0), meta jsonb, tags text[], f float8, b bytea,
      price jsonb NOT NULL DEFAULT '{"of": 123456789.123456789}', whole jsonb DEFAULT '123456789.123456789', other jsonb, at time);
    INSERT INTO docs VALUES (1, 'a', 1, '{"id": 12345678901234567890}')`);
  appliance.write(
    '001_x.ts',
    `${head}
export const migration: any = { id: '001_x', description: 'Tries each.',
  async up(prisma: any, { batch, log }: any) {
    const cases: any[] = [${cases.map((one) => `{ ${one} }`).join(',\n')}];
    for (const [index, one] of cases.entries()) {
      try { await batch({ table: 'docs', name: 'case ' + index, ...one }); log('written'); }
      catch (error: any) { log(error.message); }
    }
  } };`,
  );
  const { exitCode, events, stderr }: EngineEnd = await appliance.run('--json');
  expect(stderr).toBe('');
  expect(exitCode).toBe(0);
  return events.filter(({ type }) => type === 'migration-log').map(({ message }) => String(message));
}

const refused: Readonly<Record<string, RegExp>> = {
  "up: () => ({ name: Promise.resolve('x') })": /^row id=1: "name" is a promise: put "await" before it/,
  'up: () => ({ meta: Promise.resolve(1) })': /"meta" holds what is a promise/,
  'up: () => ({ meta: { a: new Map() } })': /"meta" holds what is a Map/,
  'up: () => ({ meta: { a: Number.NaN } })': /"meta" holds NaN/,
  'up: () => ({ meta: { at: new Date(Number.NaN) } })': /"meta" holds an Invalid Date/,
  "up: () => ({ name: { set: 'x' } })": /"name" is \{ set \}: give the value itself/,
  'up: () => ({ n: { increment: 1 } })': /"n" is \{ increment \}: give the value itself/,
  "up: () => ({ name: { first: 'a' } })": /"name" is an object, which no text can hold/,
  "up: () => ({ name: ['a', 'b'] })": /"name" is a list, which no text can hold/,
  'up: () => ({ name: new Map([[1, 2]]) })': /"name" is a Map/,
  "up: () => ({ name: () => 'x' })": /"name" is a function/,
  "up: () => ({ name: Symbol('x') })": /"name" is a symbol/,
  'up: () => ({ name: Number.NaN })': /"name" is NaN, which no text can hold/,
  'up: () => ({ name: new Uint8Array(2) })': /"name" is a Uint8Array/,
  'up: () => ({ name: new Date(Number.NaN) })': /"name" is no date/,
  [String.raw`up: () => ({ name: 'a\u0000b' })`]: /"name" holds a NUL character/,
  [String.raw`up: () => ({ name: '\ud800' })`]: /"name" holds half a character/,
  'up: () => ({ name: Prisma.JsonNull })': /"name" is Prisma\.JsonNull/,
  "up: () => 'text'": /^row id=1: what was returned for it is "text"/,
  'up: () => new Map([["n", 1]])': /what was returned for it is a Map/,
  'up: () => [{ n: 2 }]': /what was returned for it is a list/,
  'rows: (rows: any[]) => rows.map(async () => ({ n: 2 }))':
    /^row id=1: what was returned for it is a promise/,
  'rows: () => ({ n: 2 })': /what "rows" returned is an object; give a list/,
  'up: ({ meta }: any) => ({ meta: { ...meta, done: true } })':
    /"meta" would hold the number 12345678901234567890 rounded/,
  'up: ({ meta }: any) => { meta.done = true; return { meta }; }': /"meta" would hold the number 1234/,
  "key: 'id', up: ({ price }: any) => ({ price: { ...price, done: true } })":
    /"price" would hold the number 123456789.123456789 rounded/,
  'up: () => ({ n: 1.5 })': /^row id=1: invalid input syntax for type integer: "1.5"/,
  'up: () => ({ n: 3e9 })': /^row id=1: value "3000000000" is out of range for type integer/,
  'rows: () => [{ n: -1 }]': /^row id=1: .* violates check constraint/,
  'up: ({ meta }: any) => ({ name: meta.id })': /"name" would hold the number 12345678901234567890 rounded/,
};

test('what is no value of its column is refused, with its row and the mend, and nothing is written', async () => {
  const said = await tryEach(Object.keys(refused), `import { Prisma } from '../../src/generated/client.ts';`);
  expect(said).toEqual(Object.values(refused).map((message) => expect.stringMatching(message)));
  expect(await appliance.sql('SELECT name, n, meta::text, tags, f FROM docs')).toEqual([
    { name: 'a', n: 1, meta: '{"id": 12345678901234567890}', tags: null, f: null },
  ]);
});

test("what is a value is written: Prisma's nulls, lists, infinities, numbers of any length", async () => {
  const said = await tryEach(
    [
      'up: () => ({ meta: Prisma.JsonNull })',
      "up: () => ({ name: Prisma.DbNull, f: -Infinity, tags: ['a', null, 'b\"'] })",
      'up: (_: any, tx: any) => tx.$executeRaw`UPDATE docs SET n = 7`',
      'up: () => ({ b: Buffer.from([0, 255]) })',
      'up: ({ whole }: any) => ({ other: whole })',
      'rows: () => ({ count: 1 })',
      "up: () => ({ at: new Date('1970-01-01T11:00:00.500Z') })",
    ],
    `import { Prisma } from '../../src/generated/client.ts';`,
  );
  expect(said).toEqual(said.map(() => 'written'));
  expect(
    await appliance.sql(
      'SELECT name, n, meta::text, tags::text, f::text, b::text, other::text, at::text FROM docs',
    ),
  ).toEqual([
    {
      ...{ name: null, n: 7, meta: 'null', tags: '{a,NULL,"b\\""}', f: '-Infinity', b: '\\x00ff' },
      ...{ other: '123456789.123456789', at: '11:00:00.5' },
    },
  ]);
});

test('?schema= in the URL: the models of Prisma are in that schema', async () => {
  const departments = (
    schema: string,
  ) => `CREATE TABLE ${schema}.departments (id int PRIMARY KEY, name text NOT NULL,
    code text, created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now());
    INSERT INTO ${schema}.departments VALUES (1, '${schema}')`;
  await appliance.sql(`CREATE SCHEMA app; ${departments('app')}; ${departments('public')}`);
  appliance.migration(
    '001_x',
    `  async up(prisma, { batch }) {
    await batch({ model: 'Department', up: ({ name }) => ({ code: name }) });
    await prisma.department.updateMany({ data: { name: 'done' } });
  },`,
  );
  const env = { DATABASE_URL: `${appliance.url}?schema=app` };
  expect(await appliance.runWith(env)).toMatchObject({ exitCode: 0, stderr: '' });
  expect(await appliance.sql('SELECT name, code FROM app.departments')).toEqual([
    { name: 'done', code: 'app' },
  ]);
  expect(await appliance.sql('SELECT name, code FROM departments')).toEqual([{ name: 'public', code: null }]);
});
