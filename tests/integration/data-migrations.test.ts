import { chmodSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { DataMigrations, ended } from '../support/data-migrations.ts';

/* The engine as an operator has it: what is recorded where, what a crash leaves, and every way in which one fails. */

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

const addOne = `  async up(prisma) { await prisma.$executeRaw\`UPDATE users SET n = n + 1\`; },`;
const numbers = async () => (await appliance.sql('SELECT n FROM users ORDER BY id')).map(({ n }) => n);
const writeRegistry = (...entries: readonly [id: string, status: string][]) =>
  writeFileSync(
    appliance.registryFile,
    JSON.stringify({
      migrations: entries.map(([id, status]) => ({
        ...{ id, appliedAt: '2026-01-12T09:00:00.000Z', executionTimeMs: 12 },
        status,
      })),
    }),
  );

describe('a migration that fails', () => {
  const failing: Readonly<Record<string, readonly [body: string, message: RegExp]>> = {
    'throws, with its line': [
      `  async up() {\n    throw new Error('no department for row 7');\n  },`,
      /cannot apply data migration 002_bad: no department for row 7 \(002_bad\.ts:5\)\. The earlier ones stay recorded/,
    ],
    'returns success: false': [
      `  async up() { return { success: false, error: 'half of it' }; },`,
      /002_bad: half of it/,
    ],
    'has a throwing shouldRun': [
      `  shouldRun() { throw new Error('cannot tell'); }, ${addOne}`,
      /002_bad: cannot tell/,
    ],
    'is found wrong by its verify()': [
      `${addOne} verify: async () => false,`,
      /its verify\(\) found it wrong/,
    ],
    'is found wrong by a report': [
      `${addOne} verify: async () => ({ ok: false, orphans: 3 }),`,
      /found it wrong: \{"ok":false,"orphans":3\}/,
    ],
    'ends the process': [
      `  async up() { process.exit(0); },`,
      /it ended the process before it was done; take process\.exit\(\) out/,
    ],
    'does not await a query': [
      `  async up(prisma) { prisma.user?.deleteMany(); prisma.machine.deleteMany(); },`,
      /it ended without waiting for machine\.deleteMany: put "await" before each query/,
    ],
    'fails in a promise that nobody awaited': [
      `  async up() { void (async () => { await 1; throw new Error('behind its back'); })(); await new Promise((r) => setTimeout(r, 200)); },`,
      /behind its back/,
    ],
    'never ends': [
      `  async up() { await new Promise(() => setInterval(() => {}, 1000)); },`,
      /it did not end within 2 s/,
    ],
    'never ends, and never lets go': [`  async up() { for (;;); },`, /it did not end within 2 s/],
    'takes more memory than it may': [
      `  async up() { const all = []; for (;;) all.push('x'.repeat(1000) + all.length); },`,
      /it needs more than 64 MB of memory/,
    ],
    crashes: [
      `  async up() { process.kill(process.pid, 'SIGSEGV'); await new Promise(() => setInterval(() => {}, 1000)); },`,
      /it was ended by SIGSEGV/,
    ],
  };

  test.for(Object.entries(failing))(
    '%s: told, recorded, and what comes after it does not run',
    async ([, [body, message]]) => {
      appliance.migration('001_good', addOne);
      appliance.migration('002_bad', body);
      appliance.migration('003_after', addOne);
      const { exitCode, stderr } = await appliance.run('--timeout', '2s', '--memory', '64');
      expect(stderr).toMatch(message);
      expect(exitCode).toBe(1);
      expect(appliance.registry()).toEqual(['001_good success', '002_bad failed']);
      expect(await appliance.states()).toEqual(['001_good COMPLETED', '002_bad FAILED']);
      expect(
        await appliance.sql("SELECT 1 FROM pg_stat_activity WHERE application_name LIKE 'holdfast%'"),
      ).toEqual([]);
    },
  );

  test('is mended and goes on by the next run, or by --retry; --skip leaves it out, with a reason', async () => {
    appliance.migration('001_bad', `  async up() { throw new Error('not yet'); },`);
    appliance.migration('002_worse', `  async up() { throw new Error('never'); },`);
    await appliance.run();
    appliance.migration('001_bad', addOne);
    expect(await appliance.run('--retry', '1')).toMatchObject({ exitCode: 0 });
    expect(await numbers()).toEqual([1, 1]);
    expect(await appliance.run('--skip', '002_worse')).toMatchObject({
      exitCode: 2,
      stderr: expect.stringContaining('--skip needs a --reason'),
    });
    expect(await appliance.run('--skip', '002_worse', '--reason', 'no such rows here')).toMatchObject({
      exitCode: 0,
    });
    expect(appliance.registry()).toEqual(['001_bad success', '002_worse skipped']);
    const { stdout } = await appliance.run('--status');
    expect(stdout).toContain('002_worse (skipped: no such rows here)');
    expect(await appliance.run()).toMatchObject({ exitCode: 0 });
  });
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
  expect(await numbers()).toEqual([5, 5]);
  expect(await appliance.run('--rerun', '1')).toMatchObject({ exitCode: 0 });
  expect(await numbers()).toEqual([6, 6]);
  expect(appliance.registry()).toEqual(['001_maybe success']);
});

describe('registry and table', () => {
  beforeEach(() => {
    appliance.migration('001_one', addOne);
    appliance.migration('002_two', addOne);
  });

  test('killed between the commit in the table and the rename of the file: the line is written, nothing runs again', async () => {
    await appliance.run();
    await appliance.sql("UPDATE holdfast.data_migrations SET exported_at = NULL WHERE id = '002_two'");
    writeRegistry(['001_one', 'success']);
    expect(await appliance.run()).toMatchObject({ exitCode: 0, stderr: '' });
    expect(await numbers()).toEqual([2, 2]);
    expect(appliance.registry()).toEqual(['001_one success', '002_two success']);
  });

  test('a line that the operator took out: pending again, and told', async () => {
    await appliance.run();
    writeRegistry(['001_one', 'success']);
    const { stderr } = await appliance.run();
    expect(stderr).toContain('warning: 002_two was taken out of registry.json: it is pending again');
    expect(await numbers()).toEqual([3, 3]);
    expect(appliance.registry()).toEqual(['001_one success', '002_two success']);
  });

  test('a missing file is rebuilt from the table', async () => {
    await appliance.run();
    rmSync(appliance.registryFile);
    const { exitCode, stderr } = await appliance.run();
    expect(stderr).toContain(
      'registry.json is missing; it is rebuilt from the database, which knows 2 as applied',
    );
    expect(exitCode).toBe(0);
    expect(await numbers()).toEqual([2, 2]);
    expect(appliance.registry()).toEqual(['001_one success', '002_two success']);
  });

  test('an empty list against a full table is refused', async () => {
    await appliance.run();
    writeRegistry();
    const { exitCode, stderr } = await appliance.run();
    expect(stderr).toContain(
      'it is empty, and the database knows 2 data migrations that were applied. Nothing was run.',
    );
    expect(exitCode).toBe(2);
    expect(await numbers()).toEqual([2, 2]);
  });

  test('a line that the table lacks, as when another database was restored: pending, with a warning', async () => {
    await appliance.run();
    await appliance.sql("DELETE FROM holdfast.data_migrations WHERE id = '002_two'");
    const { stderr } = await appliance.run();
    expect(stderr).toContain('002_two is in registry.json, and this database knows nothing of it');
    expect(await numbers()).toEqual([3, 3]);
  });

  test('a status that was changed by hand counts', async () => {
    await appliance.run('--only', '1');
    writeRegistry(['001_one', 'failed']);
    const { stderr } = await appliance.run('--only', '1');
    expect(stderr).toContain('001_one was changed by hand in registry.json, from success to failed');
    expect(await numbers()).toEqual([2, 2]);
  });

  test('an appliance of an engine without a table: what its registry says is taken over', async () => {
    writeRegistry(['001_one', 'success']);
    expect(await appliance.run()).toMatchObject({ exitCode: 0, stderr: '' });
    expect(await numbers()).toEqual([1, 1]);
    expect(await appliance.states()).toEqual(['001_one COMPLETED', '002_two COMPLETED']);
    expect(readFileSync(appliance.registryFile, 'utf8')).toContain('2026-01-12T09:00:00.000Z');
  });

  const unreadable: Readonly<Record<string, readonly [text: string, message: string]>> = {
    'is no JSON': ['hello', 'it is not JSON'],
    'is cut off': ['{"migrations":[{"id":"001_one"', 'it is not JSON'],
    'is empty': ['', 'it is empty'],
    'has an unknown status': [
      '{"migrations":[{"id":"001_one","appliedAt":"2026-01-01T00:00:00Z","executionTimeMs":1,"status":"done"}]}',
      '("001_one") has the unknown "status" "done"',
    ],
  };
  test.for(Object.entries(unreadable))(
    'a file that %s is refused, and nothing runs',
    async ([, [text, message]]) => {
      writeFileSync(appliance.registryFile, text);
      for (const args of [[], ['--dry-run'], ['--status']]) {
        const { exitCode, stderr } = await appliance.run(...args);
        expect(stderr).toContain(message);
        expect(exitCode).toBe(2);
      }
      expect(await numbers()).toEqual([0, 0]);
      expect(readFileSync(appliance.registryFile, 'utf8')).toBe(text);
    },
  );

  test('a folder that may not be written to is refused before anything runs', async (context) => {
    if (process.geteuid?.() === 0) {
      context.skip('root may write everywhere; run as an ordinary user');
      return;
    }
    chmodSync(appliance.folder, 0o555);
    try {
      const { exitCode, stderr } = await appliance.run();
      expect(stderr).toContain('is not writable');
      expect(exitCode).toBe(2);
    } finally {
      chmodSync(appliance.folder, 0o755);
    }
    expect(await numbers()).toEqual([0, 0]);
  });
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
    expect(await numbers()).toEqual([4, 4]);
  });

  test('other line endings are no modification', async () => {
    const file = appliance.migration('001_one', addOne);
    await appliance.run();
    writeFileSync(file, readFileSync(file, 'utf8').replaceAll('\n', '\r\n'));
    expect(await appliance.run()).toMatchObject({ exitCode: 0, stderr: '' });
  });
});

describe('a dry run', () => {
  test('says what would change, with rows before and after, and what cannot be undone', async () => {
    appliance.migration(
      '001_mixed',
      `  async up(prisma) {
    await prisma.$executeRaw\`INSERT INTO users (name) VALUES ('Grace')\`;
    await prisma.$transaction(async (tx) => { await tx.$executeRaw\`UPDATE users SET n = 9 WHERE name = 'Ada'\`; });
    await prisma.$transaction([prisma.$executeRaw\`DELETE FROM users WHERE name = 'Alan'\`]);
    await prisma.$executeRaw\`CREATE TABLE another (i int)\`;
  },`,
    );
    const { exitCode, events, stdout } = await appliance.run('--dry-run', '--json');
    expect(exitCode).toBe(0);
    expect(events).toContainEqual({
      ...{ type: 'migration-planned', id: '001_mixed', wouldRun: true },
      changes: [
        {
          ...{ table: 'users', inserted: 1, updated: 1, deleted: 1 },
          samples: [
            { before: null, after: { id: 3, name: 'Grace', n: 0 } },
            { before: { id: 1, name: 'Ada', n: 0 }, after: { id: 1, name: 'Ada', n: 9 } },
          ],
        },
      ],
      warnings: [expect.stringContaining('sequence public.users_id_seq went from 2 to 3 and stays there')],
    });
    expect(stdout).not.toContain('holdfast_dry_run');
    expect(await appliance.sql('SELECT * FROM users ORDER BY id')).toEqual([
      { id: 1, name: 'Ada', n: 0 },
      { id: 2, name: 'Alan', n: 0 },
    ]);
    expect(
      await appliance.sql("SELECT to_regclass('another') AS t, to_regclass('holdfast.data_migrations') AS h"),
    ).toEqual([{ t: null, h: null }]);
  });

  test('a COMMIT of the migration itself is refused by the database', async () => {
    appliance.migration(
      '001_sly',
      `  async up(prisma) {
    await prisma.$executeRaw\`UPDATE users SET n = 9\`;
    await prisma.$executeRawUnsafe('COMMIT').catch(() => {});
    await prisma.$executeRaw\`UPDATE users SET n = 10\`.catch(() => {});
  },`,
    );
    const { exitCode, stderr } = await appliance.run('--dry-run');
    expect(stderr).toContain('it ends the transaction that it is tried in');
    expect(exitCode).toBe(1);
    expect(await numbers()).toEqual([0, 0]);
  });

  test('a batch in it works through all rows, and leaves no cursor', async () => {
    await appliance.sql('INSERT INTO users (name) SELECT i::text FROM generate_series(1, 3000) i');
    appliance.migration(
      '001_batch',
      `  async up(_, { batch, dryRun }) { if (!dryRun) throw new Error('for real?'); await batch({ table: 'users', size: 300, up: ({ n }) => ({ n: n + 1 }) }); },`,
    );
    const { exitCode, events } = await appliance.run('--dry-run', '--json');
    expect(exitCode).toBe(0);
    expect(events).toContainEqual(
      expect.objectContaining({
        type: 'migration-planned',
        rows: 3002,
        changes: [expect.objectContaining({ updated: 3002 })],
      }),
    );
    expect(await appliance.sql('SELECT DISTINCT n FROM users')).toEqual([{ n: 0 }]);
    expect(await appliance.sql("SELECT to_regclass('holdfast.data_migrations') AS t")).toEqual([{ t: null }]);
  });

  test('one that would fail is told, with exit 1', async () => {
    appliance.migration('001_bad', `  async up() { throw new Error('not like this'); },`);
    const { exitCode, stderr } = await appliance.run('--dry-run');
    expect(stderr).toContain('data migration 001_bad would fail: not like this');
    expect(stderr).toContain('Nothing was changed');
    expect(exitCode).toBe(1);
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
  expect(await numbers()).toEqual([1, 1]);
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
  expect(await numbers()).toEqual([1, 1]);
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
