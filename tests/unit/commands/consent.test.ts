import { expect, test } from 'vitest';
import { consentToLoss } from '../../../orchestrator/commands/consent.ts';
import type { Session } from '../../../orchestrator/commands/session.ts';
import { lint } from '../../../orchestrator/schema-migrations/lint/lint.ts';
import { sqliteReviewer } from '../../../orchestrator/schema-migrations/lint/sqlite/lint.ts';

const plain = (text: string) => text;
const paint = { bold: plain, dim: plain, red: plain, green: plain, yellow: plain };

/** What somebody sees before they answer, and what is typed. */
async function asked(made: string, sql: string, answer: string) {
  const said: string[] = [];
  const ui = {
    paint,
    say: (line: string) => void said.push(line),
    ask: async (question: string) => {
      said.push(question);
      return await Promise.resolve(answer);
    },
  };
  const name = '20260101000000_x\u001B[2J';
  const before = { name: '20250101000000_y', file: 'y', sql: made, down: undefined };
  const linted = lint(
    [before, { name, file: `${name}/migration.sql`, sql, down: undefined }],
    await sqliteReviewer(),
  );
  const agreed = await consentToLoss({ ui } as unknown as Session, linted, 'look');
  return { said: said.join('\n'), agreed };
}

test('no name and no comment rewrites what is asked, and the word to type is the one that is shown', async () => {
  const { said, agreed } = await asked(
    `CREATE TABLE "us\u001B[1A\n\u202Eers" (id INTEGER PRIMARY KEY);`,
    `-- BREAKING: x \u001B[31mred\u001B[2J\nDROP TABLE "us\u001B[1A\n\u202Eers";`,
    String.raw`us\u001b[1A\n\u202eers`,
  );
  expect(said).not.toMatch(/(?!\n)\p{Cc}|\p{Bidi_Control}/u);
  expect(said).not.toMatch(/^ers/m);
  expect(said).toContain(String.raw`Type us\u001b[1A\n\u202eers to go on: `);
  expect(agreed).toBe(true);
});
