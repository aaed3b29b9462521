import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { DataMigrations } from '../support/data-migrations.ts';

/* Migrations that work by being run, with a client of their own: all that they say of themselves is an exit code. */

let appliance: DataMigrations;

beforeAll(async () => {
  appliance = await DataMigrations.start();
});

beforeEach(async () => {
  await appliance.reset();
  await appliance.fill(2);
});

afterAll(async () => {
  await appliance?.stop();
});

const ownClient = `import { PrismaPg } from '@prisma/adapter-pg';
import { PrismaClient } from '../../src/generated/client.ts';
const prisma = new PrismaClient({ adapter: new PrismaPg({ connectionString: process.env.DATABASE_URL }) });
`;
const plusOne = 'await prisma.$executeRaw`UPDATE users SET n = n + 1`;';
const toNowhere = 'await prisma.$executeRaw`UPDATE nowhere SET n = n + 1`;';
const loudly = '.catch((error) => { console.error(error); process.exit(1); })';
const script = (main: string, end: string) => `${ownClient}async function main() { ${main} }\n${end}\n`;

const ownPg = (main: string, url = 'process.env.DATABASE_URL') => `import pg from 'pg';
async function main() {
  const c = new pg.Client({ connectionString: ${url} });
  try { await c.connect(); ${main} } catch (e) { console.log(e.message); } finally { await c.end().catch(() => {}); }
}
main();
`;

describe('an end with exit 0 that is no success', () => {
  const swallowing: Readonly<Record<string, readonly [text: string, message: RegExp, exitCode?: number]>> = {
    'a finally() that ends the process': [
      script(toNowhere, 'main().finally(async () => { await prisma.$disconnect(); process.exit(); });'),
      /001_x\.ts:5: a failure would end with exit 0: its finally\(\) ends the process/,
      2,
    ],
    'a catch() that ends it with 0': [
      script(toNowhere, 'main().catch((e) => { console.error(e); process.exit(0); });'),
      /a failure would end with exit 0: its handler/,
      2,
    ],
    'try and catch as the whole of main()': [
      script(
        `try { ${toNowhere} } catch (error) { console.error('failed', error); } finally { await prisma.$disconnect(); }`,
        'main();',
      ),
      /a query of it failed \(.*nowhere/,
    ],
    'a handler that calls another one, for what was no query': [
      `${script(`await null.name;`, 'main().catch(report);')}function print(e) { console.error('failed:', e); }\nfunction report(e) { print(e); }\n`,
      /it printed an error \(Cannot read properties of null.*exit 0/,
    ],
    'a listener for what nobody handled': [
      script(`await null.name;`, `process.on('unhandledRejection', console.error);\nvoid main();`),
      /it printed an error/,
    ],
    'a duplicate that takes the whole UPDATE back': [
      script(
        'try { await prisma.$executeRaw`UPDATE users SET id = 1, n = 1`; } catch (e) { console.log(e.message); }',
        'main();',
      ),
      /duplicate key.*23505.*holdfast:expected 23505/,
    ],
    'a good query after the one that failed, in $transaction or not': [
      script(
        `try { await prisma.$transaction(async (tx) => { await tx.$executeRaw\`UPDATE users SET n = 1\`; await tx.$executeRaw\`UPDATE users SET nope = 1\`; }); } catch (e) { console.log(e.message); }
        console.log(await prisma.$queryRaw\`SELECT count(*)::int FROM users\`); await prisma.$disconnect();`,
        'main();',
      ),
      /column "nope".*carried on as if it had not/,
    ],
    'a COMMIT after what failed': [
      ownPg(
        `await c.query('BEGIN'); await c.query('UPDATE users SET n = 1'); await c.query('CREATE TABLE users ()').catch(() => {}); await c.query('COMMIT');`,
      ),
      /a COMMIT after a failed query, which takes everything back/,
    ],
    'one that cannot connect': [
      ownPg('', "process.env.DATABASE_URL.replace('/inventory', '/inventry')"),
      /database "inventry" does not exist/,
    ],
    'an error printed as a warning, or as a property': [
      script('try { null.n; } catch (error) { console.warn({ error }); }', 'main();'),
      /it printed an error \(Cannot read/,
    ],
    'one that only says how it is called': [
      script(
        `if (process.argv[2] === 'run') { ${plusOne} } else console.log('usage: run'); await prisma.$disconnect();`,
        'main();',
      ),
      /it did nothing: .*never got to a database/,
    ],
    'an end before its queries are through': [
      script(
        '',
        `void main(); prisma.$executeRaw\`UPDATE users SET n = n + 1 WHERE pg_sleep(5) IS NOT NULL\`.then(() => {}); setTimeout(() => process.exit(0), 1500);`,
      ),
      /ended the process while 1 of its queries/,
    ],
  };

  test.for(Object.entries(swallowing))('%s', async ([, [text, message, expected = 1]]) => {
    appliance.write('001_x.ts', text);
    const { exitCode, stderr } = await appliance.run();
    expect(stderr).toMatch(message);
    expect(exitCode).toBe(expected);
    expect(await appliance.numbers()).toEqual([0, 0]);
    expect(appliance.registry()).toEqual(expected === 1 ? ['001_x failed'] : undefined);
  });

  test('one that ends tidily when its time is over', async () => {
    const tidily = `process.on('SIGTERM', async () => { await prisma.$disconnect(); process.exit(0); });`;
    appliance.write(
      '001_x.ts',
      script(`await new Promise((r) => setTimeout(r, 20000)); ${plusOne}`, `${tidily}\nmain()${loudly};`),
    );
    const { exitCode, stderr } = await appliance.run('--timeout', '2s');
    expect(stderr).toContain('it did not end within 2 s');
    expect(exitCode).toBe(1);
    expect(appliance.registry()).toEqual(['001_x failed']);
  });

  test('what failed and was mended: a savepoint, another try, what was there, a look whether a column is', async () => {
    appliance.write(
      '001_x.ts',
      ownPg(`
        await c.query('BEGIN'); await c.query('SAVEPOINT s');
        await c.query('UPDATE nowhere SET n = 1').catch(async () => await c.query('ROLLBACK TO SAVEPOINT s'));
        await c.query('UPDATE users SET n = n + 1'); await c.query('COMMIT');
        await c.query('ALTER TABLE users ADD name text').catch(() => {});
        await c.query('SELECT slug FROM users').catch(() => {});
        const later = async () => await c.query('UPDATE later SET n = $1', [1]);
        await later().catch(async () => { await c.query('CREATE TABLE later (n int)'); await later(); });`),
    );
    expect(await appliance.run()).toMatchObject({ exitCode: 0, stderr: '' });
    expect(await appliance.numbers()).toEqual([1, 1]);
  });

  test('what it expects, it says; it lives with that: a success', async () => {
    const again = `await prisma.$executeRaw\`INSERT INTO users (id) VALUES (1)\`.catch((error) => { console.error(error.message); });`;
    const text = script(`${plusOne} ${again}`, `main()${loudly}.finally(() => prisma.$disconnect());`);
    appliance.write('001_x.ts', `// holdfast:expected 23505\n${text}`);
    expect(await appliance.run()).toMatchObject({ exitCode: 0 });
    expect(appliance.registry()).toEqual(['001_x success']);
  });
});

describe('a script that looks whether it is run', () => {
  const main = `main()${loudly}.finally(() => prisma.$disconnect());`;

  test('by a comparison that is never true where it lies: refused, with the mend', async () => {
    appliance.write(
      '001_x.ts',
      script(plusOne, `if (import.meta.url === \`file://\${process.argv[1]}\`) { ${main} }`),
    );
    const { exitCode, stderr } = await appliance.run();
    expect(stderr).toMatch(/001_x\.ts.*never true for .*pathToFileURL\(process\.argv\[1\]\)\.href/);
    expect(exitCode).toBe(2);
    expect(appliance.registry()).toBeUndefined();
  });

  test('by something else that is not true: no success', async () => {
    appliance.write('001_x.ts', script(plusOne, `if (process.env.NOT_SET === '1') { ${main} }`));
    const { exitCode, stderr } = await appliance.run();
    expect(stderr).toContain('it did nothing: what it checks before it calls its function was not true here');
    expect(exitCode).toBe(1);
    expect(appliance.registry()).toEqual(['001_x failed']);
  });

  test('by its path, through a symbolic link: runs', async () => {
    const real = join(appliance.backend, 'prisma/elsewhere');
    mkdirSync(real, { recursive: true });
    const link = join(appliance.root, 'link');
    symlinkSync(real, link);
    const guard = `import { pathToFileURL } from 'node:url';\nif (import.meta.url === pathToFileURL(process.argv[1]).href) { ${main} }`;
    writeFileSync(join(real, '001_x.ts'), script(plusOne, guard));
    expect(await appliance.run('--directory', link)).toMatchObject({ exitCode: 0, stderr: '' });
    expect(await appliance.numbers()).toEqual([1, 1]);
  });
});

test('rows that row-level security would hide from a client of its own: refused, not left out', async () => {
  await appliance.sql(`CREATE ROLE few LOGIN; GRANT CREATE ON DATABASE inventory TO few; GRANT ALL ON users TO few;
    ALTER TABLE users ENABLE ROW LEVEL SECURITY; CREATE POLICY first ON users USING (id = 1)`);
  appliance.write('001_x.ts', script(`${plusOne} await prisma.$disconnect();`, `main()${loudly};`));
  const url = new URL(appliance.url);
  url.username = 'few';
  const { exitCode, stderr } = await appliance.runWith({ DATABASE_URL: url.href });
  expect(stderr).toContain('affected by row-level security policy');
  expect(exitCode).toBe(1);
  expect(await appliance.numbers()).toEqual([0, 0]);
  await appliance.sql('DROP OWNED BY few CASCADE; DROP ROLE few');
});

describe('up and down by a word on the command line', () => {
  const makes: Readonly<Record<string, string>> = {
    'a switch': `async function main() { switch (process.argv.slice(2)[0]) { case 'up': await up(); break; case 'down': await down(); } await prisma.$disconnect(); }`,
    'an object of functions': `const [, , action = ''] = process.argv; const actions = { up, down };
      async function main() { await actions[action]?.(); await prisma.$disconnect(); }`,
    'argv of node:process': `async function main() { if (argv[2] === 'up') await up(); else if (argv[2] === 'down') await down(); await prisma.$disconnect(); }`,
    'parseArgs, by place': `const { positionals } = parseArgs({ allowPositionals: true });
      async function main() { if (positionals[0] === 'up') await up(); if (positionals[0] === 'down') await down(); await prisma.$disconnect(); }`,
    'parseArgs, by flags': `const { values } = parseArgs({ options: { up: { type: 'boolean' }, down: { type: 'boolean' } } });
      async function main() { if (values.up) await up(); if (values.down) await down(); await prisma.$disconnect(); }`,
    flags: `async function main() { if (process.argv.includes('--up')) await up(); if (process.argv.includes('--down')) await down(); await prisma.$disconnect(); }`,
    'whatever case': `const is = (word) => process.argv[2]?.toLowerCase() === word.toLowerCase();
      async function main() { if (is('UP')) await up(); if (is('DOWN')) await down(); await prisma.$disconnect(); }`,
  };

  test.for(Object.entries(makes))('%s', async ([, make]) => {
    appliance.write(
      '001_x.ts',
      `import { argv } from 'node:process';\nimport { parseArgs } from 'node:util';\n${ownClient}
      async function up() { ${plusOne} }\nasync function down() { ${plusOne.replace('+', '-')} }\n${make}\nmain();\n`,
    );
    expect(await appliance.run()).toMatchObject({ exitCode: 0, stderr: '' });
    expect(await appliance.numbers()).toEqual([1, 1]);
    expect(await appliance.run('--down', '001')).toMatchObject({ exitCode: 0, stderr: '' });
    expect(await appliance.numbers()).toEqual([0, 0]);
  });
});
