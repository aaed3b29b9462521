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
      /its last query failed \(.*nowhere/,
    ],
    'a handler that calls another one, for what was no query': [
      `${script(`await null.name;`, 'main().catch(report);')}function print(e) { console.error('failed:', e); }\nfunction report(e) { print(e); }\n`,
      /it printed an error \(Cannot read properties of null.*exit 0/,
    ],
    'a listener for what nobody handled': [
      script(`await null.name;`, `process.on('unhandledRejection', console.error);\nvoid main();`),
      /it printed an error/,
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

  test('what it wanted is there already, and it lives with that: a success', async () => {
    const again = `await prisma.$executeRaw\`INSERT INTO users (id) VALUES (1)\`.catch((error) => { console.error(error.message); });`;
    appliance.write(
      '001_x.ts',
      script(`${plusOne} ${again}`, `main()${loudly}.finally(() => prisma.$disconnect());`),
    );
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
