import { expect, test } from 'vitest';
import { lint } from '../../../orchestrator/schema-migrations/lint/lint.ts';
import { postgresReviewer } from '../../../orchestrator/schema-migrations/lint/postgres/lint.ts';
import { verifyStaysInside } from '../../../orchestrator/schema-migrations/stays-inside.ts';
import { schemaBefore } from '../../fixtures/lint/postgres.ts';

/** What the lint says of one migration after the schema that the cases have. */
async function remarks(sql: string) {
  const review = await postgresReviewer();
  review(schemaBefore);
  return review(sql).remarks;
}

test.each([
  ['DROP DATABASE other;', true],
  ['DROP TABLESPACE fast;', true],
  ['DROP SUBSCRIPTION s;', true],
  ['DROP ROLE reader;', false],
  ['CREATE DATABASE other;', false],
])('what no snapshot of this database brings back is asked about: %s is a loss: %s', async (sql, loss) => {
  const found = (await remarks(sql)).filter(({ rule }) => rule === 'server-wide');
  expect(found).toHaveLength(1);
  expect(found[0]?.destructive ?? false).toBe(loss);
});

test('large objects that are taken away, or written over, are asked about', async () => {
  const sql = `SELECT lo_unlink(oid) FROM pg_largeobject_metadata; SELECT lo_put(oid, 0, '') FROM pg_largeobject_metadata;`;
  expect(await remarks(sql)).toMatchObject([{ destructive: true }, { destructive: true }]);
});

async function tryOnCopy(sql: string): Promise<void> {
  const name = '20260201000000_second';
  const migration = { name, sql, file: `prisma/migrations/${name}/migration.sql`, down: undefined };
  const linted = lint([migration], await postgresReviewer());
  verifyStaysInside(linted, 'rehearse v3', { unread: 'refuse' });
}

test.each([
  'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid();',
  'DO $$ DECLARE ok bool; BEGIN ok := pg_reload_conf(); END $$;',
  '-- holdfast:accept server-wide: it is ours\nREASSIGN OWNED BY app TO other;',
  `SELECT dblink_connect('dbname=other');`,
])('what the live server would feel is not tried on a copy: %s', async (sql) => {
  await expect(tryOnCopy(sql)).rejects.toThrow('cannot rehearse v3: 20260201000000_second, line ');
});

test('what stays in its own database is tried', async () => {
  await expect(tryOnCopy(`SELECT pg_notify('a', 'b'), pg_backend_pid();`)).resolves.toBeUndefined();
});
