import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { DataMigrations } from '../support/data-migrations.ts';

/* The forms in which people have their data migrations, each run as its documentation has it. */

let appliance: DataMigrations;

beforeAll(async () => {
  appliance = await DataMigrations.start();
});

beforeEach(async () => {
  await appliance.reset();
  await appliance.sql("INSERT INTO users (name) VALUES ('Ada Lovelace'), ('Alan Turing')");
});

afterAll(async () => {
  await appliance?.stop();
});

const numbers = async () => (await appliance.sql('SELECT n FROM users ORDER BY id')).map(({ n }) => n);

const ownClient = `
import { PrismaPg } from '@prisma/adapter-pg';
import { PrismaClient } from '../../src/generated/client.ts';
const prisma = new PrismaClient({ adapter: new PrismaPg({ connectionString: process.env.DATABASE_URL }) });
`;

const forms: Readonly<Record<string, readonly [name: string, text: string]>> = {
  'an object called migration': [
    '001_object.ts',
    `export const migration = { id: '001_object', async up(prisma) { await prisma.$executeRaw\`UPDATE users SET n = 1\`; } };`,
  ],
  'a default export alone': [
    '001_default.ts',
    `export default { id: '001_default', async up(prisma) { await prisma.$executeRaw\`UPDATE users SET n = 1\`; } };`,
  ],
  'an unguarded main() with a client of its own, and exit 1 when it fails': [
    '001_main.ts',
    `${ownClient}
export const migration = { id: '001_main', async up(client) { await client.$executeRaw\`UPDATE users SET n = n + 1\`; } };
async function main() { await migration.up(prisma); }
main().catch((error) => { console.error(error); process.exit(1); }).finally(() => prisma.$disconnect());`,
  ],
  'a main() behind a guard': [
    '001_guarded.cts',
    `const { Client } = require('pg');
async function main(): Promise<void> {
  const client = new Client({ connectionString: process.env.DATABASE_URL });
  await client.connect();
  await client.query('UPDATE users SET n = 1');
  await client.end();
}
if (require.main === module) main().catch((error) => { console.error(error); process.exit(1); });`,
  ],
  'a script that wants to be told up or down': [
    '001_direction.ts',
    `${ownClient}
async function up() { await prisma.$executeRaw\`UPDATE users SET n = 1\`; }
async function down() { await prisma.$executeRaw\`UPDATE users SET n = 0\`; }
const direction = process.argv[2];
if (direction !== 'up' && direction !== 'down') { console.log('Usage: 001_direction.ts up|down'); process.exit(0); }
(direction === 'up' ? up() : down())
  .catch((error) => { console.error(error); process.exitCode = 1; })
  .finally(async () => { await prisma.$disconnect(); });`,
  ],
  'a class with constructor injection and a context': [
    '001-class.migration.ts',
    `import type { PrismaClient } from '../../src/generated/client.ts';
const Injectable = () => (target: unknown) => target;
interface Context { prisma: PrismaClient; logger: { log(text: string): void }; dryRun: boolean }
enum Kind { One = 1 }
@Injectable()
export class FillNumbers {
  readonly name = 'fill-numbers';
  readonly version = '1.2.0';
  readonly description = 'Fills the numbers.';
  readonly rollbackable = true;
  constructor(private readonly prisma: PrismaClient) {}
  async up(context: Context) {
    context.logger.log('at it');
    const count = await this.prisma.$executeRaw\`UPDATE users SET n = \${Kind.One}\`;
    return { success: true, recordsProcessed: count, metadata: { by: 'class' } };
  }
  async verify(context: Context) {
    return { success: true, wrong: 0 };
  }
  async down({ prisma }: Context) { await prisma.$executeRaw\`UPDATE users SET n = 0\`; }
}`,
  ],
  SQL: [
    '001_plain.sql',
    `-- Fills the numbers; a semicolon in here.
DO $$ BEGIN
  PERFORM 1; -- BEGIN
END $$;
UPDATE users SET n = 1 WHERE name <> 'a;b''COMMIT';`,
  ],
  'CommonJS in JavaScript': [
    '001_common.cjs',
    `module.exports.migration = { id: '001_common', up: async (prisma) => { await prisma.$executeRawUnsafe('UPDATE users SET n = 1'); } };`,
  ],
};

test.for(Object.entries(forms))('%s: runs once, and is recorded', async ([, [name, text]]) => {
  appliance.write(name, text);
  const id = name.replace(/(?:\.migration)?\.\w+$/, '');

  const first = await appliance.run('--json');
  expect(first.events.at(-1)).toMatchObject({ type: 'result', ok: true });
  expect(first.exitCode).toBe(0);
  expect(await numbers()).toEqual([1, 1]);
  expect(appliance.registry()).toEqual([`${id} success`]);
  expect(await appliance.states()).toEqual([`${id} COMPLETED`]);

  await appliance.sql('UPDATE users SET n = 7');
  expect(await appliance.run()).toMatchObject({ exitCode: 0 });
  expect(await numbers()).toEqual([7, 7]);
});

test.for(Object.entries(forms).filter(([, [name]]) => name !== '001_main.ts'))(
  '%s: a dry run changes nothing and records nothing',
  async ([, [name, text]]) => {
    appliance.write(name, text);
    const { exitCode, events } = await appliance.run('--dry-run', '--json');
    expect(events.at(-1)).toMatchObject({ type: 'result', ok: true });
    expect(exitCode).toBe(0);
    expect(events).toContainEqual(expect.objectContaining({ type: 'migration-planned', wouldRun: true }));
    expect(await numbers()).toEqual([0, 0]);
    expect(appliance.registry()).toBeUndefined();
    expect(await appliance.sql("SELECT to_regclass('holdfast.data_migrations') AS t")).toEqual([{ t: null }]);
  },
);

describe('down', () => {
  test.for(['a class with constructor injection and a context', 'a script that wants to be told up or down'])(
    '%s: --down takes it back, and it is pending again',
    async (form) => {
      const [name, text] = forms[form] ?? ['', ''];
      appliance.write(name, text);
      expect(await appliance.run()).toMatchObject({ exitCode: 0 });
      expect(await appliance.run('--down', '1')).toMatchObject({ exitCode: 0 });
      expect(await numbers()).toEqual([0, 0]);
      expect(appliance.registry()).toEqual([]);
      expect(await appliance.run()).toMatchObject({ exitCode: 0 });
      expect(await numbers()).toEqual([1, 1]);
    },
  );
});

test('a client that is generated elsewhere and paths of a tsconfig', async () => {
  const { backend } = appliance;
  mkdirSync(join(backend, 'src/shared'), { recursive: true });
  writeFileSync(join(backend, 'src/shared/amount.ts'), 'export const amount = 1;\n');
  writeFileSync(
    join(backend, 'tsconfig.json'),
    JSON.stringify({
      compilerOptions: { paths: { '@shared/*': ['./src/shared/*'] }, experimentalDecorators: true },
    }),
  );
  appliance.write(
    '001_paths.ts',
    `import { amount } from '@shared/amount';
export const migration = { id: '001_paths', up: async (prisma) => { await prisma.$executeRaw\`UPDATE users SET n = \${amount}\`; } };`,
  );
  expect(await appliance.run('--json')).toMatchObject({ exitCode: 0 });
  expect(await numbers()).toEqual([1, 1]);
});

describe('refused before anything runs', () => {
  const refused: Readonly<Record<string, readonly [name: string, text: string, message: RegExp]>> = {
    'no export': [
      '002_nothing.ts',
      'const x = 1;\n',
      /002_nothing\.ts: it does not export "migration"; see template\.ts/,
    ],
    'a wrong id': [
      '002_wrong.ts',
      "export const migration = { id: '003_wrong', up() {} };",
      /its id is "003_wrong" but must equal the file's name, "002_wrong"/,
    ],
    'the placeholder': [
      '002_new.ts',
      "export const migration = { id: 'CHANGE_ME_TO_MATCH_FILENAME', up() {} };",
      /its id is still the template's; set it to "002_new"/,
    ],
    'no up': ['002_no_up.ts', "export const migration = { id: '002_no_up' };", /"up" is not a function/],
    'a syntax error': [
      '002_syntax.ts',
      'export const migration = {\n  id: ;\n};',
      /002_syntax\.ts:2: it does not load: /,
    ],
    'an import that is not there': [
      '002_import.ts',
      "import './missing.ts'; export const migration = { id: '002_import', up() {} };",
      /002_import\.ts: it does not load: .*missing/,
    ],
    'a file that ends the process when it is imported': [
      '002_exit.ts',
      "process.exit(0); export const migration = { id: '002_exit', up() {} };",
      /002_exit\.ts: it does not load: it ended the process/,
    ],
    'a failure that would be printed and forgotten': [
      '002_swallow.ts',
      'async function main() {}\nmain().catch(console.error);',
      /002_swallow\.ts:2: a failure would end with exit 0/,
    ],
    'a script without a number': [
      'backfill_x.ts',
      'async function main() {}\nmain();',
      /mv backfill_x\.ts 002_backfill_x\.ts/,
    ],
    'two classes': [
      '002_two.ts',
      'export class Helper { up() {} }\nexport class Fill { up() {} }',
      /002_two\.ts: it exports several classes with an up\(\) \(Fill and Helper\)/,
    ],
    'SQL without a number': ['backfill.sql', 'SELECT 1;', /mv backfill\.sql 002_backfill\.sql/],
    'a misspelled name': ['2_x.ts', '', /2_x\.ts: the name must look like 001_what_it_does\.ts/],
    'an id twice': [
      '001_good.sql',
      'SELECT 1;',
      /001_good\.sql and 001_good\.ts: one id twice|001_good\.ts and 001_good\.sql: one id twice/,
    ],
  };

  test.for(Object.entries(refused))('%s', async ([, [name, text, message]]) => {
    appliance.migration(
      '001_good',
      `  async up(prisma) { await prisma.$executeRaw\`UPDATE users SET n = 1\`; },`,
    );
    appliance.write(name, text);
    const { exitCode, stderr } = await appliance.run();
    expect(stderr).toMatch(message);
    expect(stderr).toContain('nothing was run');
    expect(exitCode).toBe(2);
    expect(await numbers()).toEqual([0, 0]);
    expect(appliance.registry()).toBeUndefined();
  });
});
