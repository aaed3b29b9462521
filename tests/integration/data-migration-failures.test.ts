import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { addOne, DataMigrations } from '../support/data-migrations.ts';

/* Every way in which a data migration fails: told, recorded, and nothing after it runs. */

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
    'returns false': ['  async up() { return false; },', /002_bad: it returned false/],
    'has a shouldRun that says neither': [
      `  shouldRun: () => null, ${addOne}`,
      /its shouldRun\(\) returned null: return true or false/,
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
    'catches a failed query, and carries on': [
      `  async up(prisma) { try { await prisma.$executeRaw\`UPDATE users SET nope = 1\`; } catch (error) { console.error(error.message); } await prisma.$queryRaw\`SELECT 1\`; },`,
      /a query of it failed \(.*nope.*holdfast:expected 42703/,
    ],
    'looks at no outcome of allSettled': [
      `  async up(prisma) { await Promise.allSettled([prisma.machine.count(), prisma.machine.count({ where: { nope: 1 } })]); },`,
      /a query of it failed .*carried on as if it had not/,
    ],
    'catches what a pool of its own was refused': [
      `  async up() { const pg = (await import('pg')).default; const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL }); await pool.query('UPDATE users SET nope = 1').catch(() => {}); await pool.end(); },`,
      /a query of it failed \(column "nope".*42703/,
    ],
    'fails in a promise that nobody awaited': [
      `  async up() { void (async () => { await 1; throw new Error('behind its back'); })(); await new Promise((r) => setTimeout(r, 200)); },`,
      /behind its back/,
    ],
    'never ends': [
      `  async up() { await new Promise(() => setInterval(() => {}, 1000)); },`,
      /it did not end within 3 s/,
    ],
    'never ends, and never lets go': [`  async up() { for (;;); },`, /it did not end within 3 s/],
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
    async ([name, [body, message]]) => {
      appliance.migration('001_good', addOne);
      // The limit of time is for the bad one alone: on a busy machine a good one may take as long.
      const isLong = name.startsWith('never');
      if (isLong) await appliance.run();
      appliance.migration('002_bad', body);
      appliance.migration('003_after', addOne);
      const { exitCode, stderr } = await appliance.run(
        ...['--timeout', isLong ? '3s' : '60s', '--memory', '64'],
      );
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
    expect(await appliance.numbers()).toEqual([1, 1]);
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
