import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { batch, DataMigrations } from '../support/data-migrations.ts';

/* A dry run runs for real, in a transaction that the database takes back. */

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
    expect(await appliance.numbers()).toEqual([0, 0]);
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

  test('of one that is half done goes on where the run for real would', async () => {
    await appliance.sql('DELETE FROM users; ALTER SEQUENCE users_id_seq RESTART');
    await appliance.fill(20);
    const body = (odd: string) =>
      batch(`table: 'users', size: 4, up: ({ id, n }) => { ${odd} return { n: n + 1 }; }`);
    appliance.migration('001_x', body(`if (id === 15) throw new Error('row 15 is odd');`));
    await appliance.run();
    const kept = await appliance.sql('SELECT * FROM holdfast.data_migration_batches');
    appliance.migration('001_x', body(''));
    const { exitCode, events } = await appliance.run('--dry-run', '--json');
    expect(exitCode).toBe(0);
    expect(events).toContainEqual(
      expect.objectContaining({
        type: 'migration-planned',
        changes: [expect.objectContaining({ updated: 8 })],
      }),
    );
    expect(await appliance.sql('SELECT * FROM holdfast.data_migration_batches')).toEqual(kept);
    expect(await appliance.tallied()).toEqual({ 0: 8, 1: 12 });
  });

  test.each([
    ['prisma', true],
    ['tx', false],
  ])('that uses "%s" inside of a batch: told %s', async (client, isTold) => {
    appliance.migration(
      '001_x',
      `  async up(prisma, { batch }) { await batch({ table: 'users', up: async ({ id }, tx) => {
        await ${client}.$executeRaw\`UPDATE users SET n = 7 WHERE id = \${id}\`; } }); },`,
    );
    const { exitCode, stdout } = await appliance.run('--dry-run');
    expect(exitCode).toBe(0);
    expect(stdout.includes('a query went through "prisma" inside of a batch')).toBe(isTold);
  });

  test('one that would fail is told, with exit 1', async () => {
    appliance.migration('001_bad', `  async up() { throw new Error('not like this'); },`);
    const { exitCode, stderr } = await appliance.run('--dry-run');
    expect(stderr).toContain('data migration 001_bad would fail: not like this');
    expect(stderr).toContain('Nothing was changed');
    expect(exitCode).toBe(1);
  });
});
