import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { addOne, DataMigrations, ended } from '../support/data-migrations.ts';

/* The engine as an operator has it: what it tells, what two at once and a kill leave, and its commands. */

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

test('not needed is recorded as such, and looked at again by --rerun', async () => {
  appliance.migration(
    '001_maybe',
    `  shouldRun: async (prisma) => (await prisma.$queryRaw\`SELECT 1 FROM users WHERE n = 5\`).length > 0, ${addOne}`,
  );
  await appliance.run();
  expect(appliance.registry()).toEqual(['001_maybe not-needed']);
  await appliance.sql('UPDATE users SET n = 5');
  await appliance.run();
  expect(await appliance.numbers()).toEqual([5, 5]);
  expect(await appliance.run('--rerun', '1')).toMatchObject({ exitCode: 0 });
  expect(await appliance.numbers()).toEqual([6, 6]);
  expect(appliance.registry()).toEqual(['001_maybe success']);
});

describe('told, and no reason to stop', () => {
  test('an applied file that was modified, one that is gone, a gap and a number taken twice', async () => {
    appliance.migration('001_one', addOne);
    appliance.migration('002_two', addOne);
    appliance.migration('002_too', addOne);
    await appliance.run();
    appliance.migration('001_one', `  async up() {},`);
    rmSync(join(appliance.folder, '002_two.ts'));
    appliance.migration('005_five', addOne);
    const { exitCode, stderr } = await appliance.run();
    expect(exitCode).toBe(0);
    expect(stderr).toContain('001_one was modified since it was applied here');
    expect(stderr).toContain('002_two was applied here, and its file is gone');
    expect(stderr).toContain('there is no number 3 to 4; was a file lost?');
    expect(await appliance.numbers()).toEqual([4, 4]);
  });

  test('other line endings are no modification', async () => {
    const file = appliance.migration('001_one', addOne);
    await appliance.run();
    writeFileSync(file, readFileSync(file, 'utf8').replaceAll('\n', '\r\n'));
    expect(await appliance.run()).toMatchObject({ exitCode: 0, stderr: '' });
  });
});

test('two at once: one runs, the other exits 4 and says who is at it', async () => {
  appliance.migration(
    '001_slow',
    `  async up(prisma) { await prisma.$executeRaw\`SELECT pg_sleep(2)\`; await prisma.$executeRaw\`UPDATE users SET n = n + 1\`; },`,
  );
  const first = appliance.start(['--json']);
  const firstEnd = ended(first);
  await new Promise((resolve) => {
    first.stdout?.on('data', (chunk: Buffer) => chunk.includes('migration-started') && resolve(undefined));
  });
  const { exitCode, stderr } = await appliance.run();
  expect(stderr).toMatch(
    /another runner \(holdfast-data-migrations, database session \d+, since .*\) is at it/,
  );
  expect(exitCode).toBe(4);
  expect(await appliance.run('--status')).toMatchObject({
    stdout: expect.stringContaining('001_slow (running)'),
  });
  expect(await firstEnd).toMatchObject({ exitCode: 0 });
  expect(await appliance.numbers()).toEqual([1, 1]);
});

test('killed with a long statement under way: nothing of it is committed behind the next run', async () => {
  appliance.migration(
    '001_slow',
    `  async up(prisma) { await prisma.$executeRaw\`UPDATE users SET n = n + 1 + (SELECT 0 FROM pg_sleep(3))\`; },`,
  );
  const child = appliance.start(['--json']);
  const end = ended(child);
  await new Promise((resolve) => {
    child.stdout?.on('data', (chunk: Buffer) => chunk.includes('migration-started') && resolve(undefined));
  });
  await new Promise((resolve) => setTimeout(resolve, 1500));
  process.kill(child.pid ?? 0, 'SIGKILL');
  await end;
  const { events, exitCode } = await appliance.run('--json');
  expect(events).toContainEqual({ type: 'migration-started', id: '001_slow', resumes: true });
  expect(exitCode).toBe(0);
  expect(await appliance.numbers()).toEqual([1, 1]);
});

describe('commands', () => {
  test('--new writes the next one from the template; the template alone is no migration', async () => {
    appliance.migration('007_seven', addOne);
    const { exitCode, stdout } = await appliance.run('--new', '  Split Names, properly! ');
    expect(exitCode).toBe(0);
    expect(stdout).toContain('008_split_names_properly.ts');
    const text = readFileSync(join(appliance.folder, '008_split_names_properly.ts'), 'utf8');
    expect(text).toContain("id: '008_split_names_properly'");
    expect(text).not.toContain('CHANGE_ME');
    expect(await appliance.run('--list')).toMatchObject({
      stdout: expect.stringContaining('008_split_names_properly [PENDING]'),
    });
    expect(await appliance.run('--new', '!!!')).toMatchObject({ exitCode: 2 });
  });

  test.for([
    [['--only', '009_nine'], /cannot find the data migration 009_nine: there is no such file/],
    [['--status', '--list'], /--status and --list exclude each other/],
    [['--nix'], /Unknown option '--nix'/],
    [['--only', ''], /--only needs a value/],
    [['--rerun', '1', '--only', '1'], /--only goes with a run/],
    [['--timeout', 'soon'], /--timeout is "soon"; write it like 90s/],
    [['--memory', '3'], /32 or more/],
    [['--directory', '/nix'], /cannot look for data migrations: .*nix.*Check --directory/],
  ] as const)('%j is refused', async ([args, message]) => {
    appliance.migration('001_one', addOne);
    const { exitCode, stderr } = await appliance.run(...args);
    expect(stderr).toMatch(message);
    expect(exitCode).toBe(2);
    expect(existsSync(appliance.registryFile)).toBe(false);
  });

  test('without a database: status says so and goes by the file; a run says what to set', async () => {
    appliance.migration('001_one', addOne);
    const nowhere = { DATABASE_URL: 'postgresql://nobody@127.0.0.1:1/nothing' };
    expect(await appliance.runWith(nowhere, '--status')).toMatchObject({
      exitCode: 0,
      stdout: expect.stringContaining('the database does not answer'),
    });
    expect(await appliance.runWith(nowhere)).toMatchObject({
      exitCode: 1,
      stderr: expect.stringContaining('the database does not answer'),
    });
    expect(await appliance.runWith({ DATABASE_URL: '' })).toMatchObject({
      exitCode: 2,
      stderr: expect.stringContaining('DATABASE_URL is not set'),
    });
    expect(await appliance.runWith({ DATABASE_URL: 'mysql://x' })).toMatchObject({
      exitCode: 2,
      stderr: expect.stringContaining('starts with postgresql://'),
    });
  });
});
