import { expect, test } from 'vitest';
import { postgresReviewer } from '../../../orchestrator/schema-migrations/lint/postgres/lint.ts';
import { schemaBefore } from '../../fixtures/lint/postgres.ts';

/** What the lint says of one migration after the schema that the cases have. */
async function remarks(sql: string) {
  const review = await postgresReviewer();
  review(schemaBefore);
  return review(sql).remarks;
}

test(
  'twice the lines take about twice the time: twenty thousand INSERTs are seconds',
  { timeout: 30_000 },
  async () => {
    const lines = Array.from({ length: 20_000 }, (_, index) => `INSERT INTO users (id) VALUES (${index});\n`);
    expect(await remarks(`${lines.join('')}DROP TABLE users;`)).toContainEqual(
      expect.objectContaining({ rule: 'drop-table', line: 20_001 }),
    );
  },
);

const chain = (links: number) => `'a'${" || 'b'".repeat(links)}`;

test.each([2_000, 4_000])('a chain of %i links is walked to its end', async (links) => {
  expect(await remarks(`SELECT 1;\nUPDATE users SET name = ${chain(links)};`)).toContainEqual(
    expect.objectContaining({ rule: 'update-without-where', line: 2 }),
  );
  const bound = await remarks(`UPDATE users SET name = ${chain(links)} WHERE id = 1;`);
  expect(bound).toEqual([]);
});

test('what is nested too deep to be walked is named, and hides nothing else', async () => {
  const deep = `UPDATE users SET name = ${chain(20_000)}`;
  expect(await remarks(`DROP TABLE teams;\n-- all\n${deep};\nDROP TABLE users;`)).toMatchObject([
    { rule: 'dynamic-sql', line: 3, destructive: true },
    { rule: 'drop-table', line: 1 },
    { rule: 'drop-table', line: 4 },
    { rule: 'no-lock-timeout' },
  ]);
  const block = `DO $$ BEGIN ${'IF true THEN '.repeat(2_500)} DELETE FROM users; ${'END IF; '.repeat(2_500)} END $$;`;
  expect(await remarks(`SELECT 1;\n${block}\nDELETE FROM teams;`)).toMatchObject([
    { rule: 'dynamic-sql', line: 2, destructive: true },
    { rule: 'delete-without-where', line: 3 },
  ]);
});

test('what no database reads stays an error of its text', async () => {
  const sql = `SELECT ${'('.repeat(20_000)}1${')'.repeat(20_000)};`;
  expect(await remarks(sql)).toMatchObject([{ rule: 'syntax-error' }]);
});
