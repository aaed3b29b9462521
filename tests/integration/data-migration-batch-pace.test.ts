import { Client } from 'pg';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { Health } from '../../backend/src/data-migrations/batch/health.ts';
import { batch, DataMigrations, ended, untilItSays } from '../support/data-migrations.ts';

/* A batch stops when it is told to, and gives way to others. */

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

test('interrupted by Ctrl-C: exit 130, and the next run goes on where it was', async () => {
  await appliance.fill(20_000);
  appliance.migration(
    '001_add',
    batch(`table: 'users', size: 50, targetMs: 10, up: async ({ n }) => ({ n: n + 1 })`),
  );
  const child = appliance.start(['--json']);
  const end = ended(child);
  child.stdout?.on('data', (chunk: Buffer) => {
    if (chunk.includes('migration-progress')) process.kill(-(child.pid ?? 0), 'SIGINT');
  });
  const { exitCode, events } = await end;
  expect(exitCode).toBe(130);
  expect(events.at(-1)).toMatchObject({
    ok: false,
    error: expect.stringContaining('The next run goes on with it'),
  });
  const { 1: done = 0 } = await appliance.tallied();
  expect(done).toBeGreaterThan(0);
  expect(done).toBeLessThan(20_000);
  const status = JSON.parse((await appliance.run('--status', '--json')).stdout) as { pending: string[] };
  expect(status.pending).toEqual(['001_add']);

  const again = await appliance.run('--json');
  expect(again.events).toContainEqual(
    expect.objectContaining({
      type: 'migration-log',
      message: expect.stringMatching(new RegExp(`^goes on after .*: ${String(done)} rows were done$`)),
    }),
  );
  expect(await appliance.tallied()).toEqual({ 1: 20_000 });
});

/** Another program on the same database. */
async function openSession(): Promise<Client> {
  const client = new Client({ connectionString: appliance.url });
  await client.connect();
  return client;
}

test('a batch that runs into a lock is tried again with half the rows, and that is told', async () => {
  await appliance.fill(2000);
  const other = await openSession();
  await other.query('BEGIN');
  await other.query('UPDATE users SET name = name WHERE id = 900');
  appliance.migration('001_add', batch(`table: 'users', size: 1000, set: 'n = n + 1'`));
  const child = appliance.start(['--json']);
  const end = ended(child);
  await untilItSays(child, 'again with 500 rows');
  await other.query('COMMIT');
  await other.end();
  const { exitCode, events } = await end;
  expect(events).toContainEqual(
    expect.objectContaining({
      type: 'migration-log',
      message: expect.stringMatching(/lock timeout; again with 500 rows/),
    }),
  );
  expect(exitCode).toBe(0);
  expect(await appliance.tallied()).toEqual({ 1: 2000 });
});

test('while other sessions wait for locks the batches are held back, and that is told', async () => {
  await appliance.fill(2000);
  await appliance.sql('CREATE TABLE other (i int)');
  const [holder, waiter] = [await openSession(), await openSession()];
  await holder.query('BEGIN');
  await holder.query('LOCK TABLE other');
  const waiting = waiter.query('SELECT * FROM other');
  appliance.migration('001_add', batch(`table: 'users', set: 'n = n + 1'`));
  const child = appliance.start(['--json']);
  const end = ended(child);
  await untilItSays(child, 'held back');
  expect(await appliance.tallied()).toEqual({ 0: 2000 });
  await holder.query('COMMIT');
  await waiting;
  const { exitCode, events } = await end;
  const said = events.filter(({ type }) => type === 'migration-log').map(({ message }) => message);
  expect(said).toEqual(['held back: 1 session waits for a lock', 'going on']);
  expect(exitCode).toBe(0);
  expect(await appliance.tallied()).toEqual({ 1: 2000 });
  await Promise.all([holder.end(), waiter.end()]);
});

test('who waits for ever holds the batches back once, and again only after the database has been calm', async () => {
  await appliance.sql('CREATE TABLE other (i int)');
  const [own, holder, waiter] = [await openSession(), await openSession(), await openSession()];
  const said: string[] = [];
  const health = new Health(own, (message) => said.push(message), 600);
  const { signal } = new AbortController();
  const look = async (): Promise<string[]> => {
    // It looks at most once a second.
    await new Promise((resolve) => setTimeout(resolve, 1050));
    await health.hold(signal);
    return said.splice(0);
  };
  const held = ['held back: 1 session waits for a lock', 'going on'];
  await holder.query('BEGIN; LOCK TABLE other');
  const waiting = waiter.query('SELECT * FROM other');
  expect([await look(), await look(), await look()]).toEqual([held, [], []]);
  await holder.query('COMMIT');
  await waiting;
  expect(await look()).toEqual([]);
  await holder.query('BEGIN; LOCK TABLE other');
  const again = waiter.query('SELECT * FROM other');
  expect(await look()).toEqual(held);
  await holder.query('COMMIT');
  await again;
  await Promise.all([own.end(), holder.end(), waiter.end()]);
});
