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
