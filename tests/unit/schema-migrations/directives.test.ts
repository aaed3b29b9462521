import { describe, expect, test } from 'vitest';
import { parseDirectives } from '../../../orchestrator/schema-migrations/lint/directives.ts';

const read = (text: string) => parseDirectives([{ text, line: 3 }]);

describe('a demand that nobody heeds is told', () => {
  test.each([
    'Requires at least application version 2.4',
    'REQUIRES: application version >= 2.4',
    'Note: Requires application version >= 9.9',
    'Requires application version > 99',
    'Requires application version: 99',
    'requires app version >= 99',
    'requires app >= 99',
    'requires application 2.4',
    'Requires version 2.4 of the application',
    'Requires at least version 2.4',
    'Requires the application to be at version 2.4 or newer',
    'It requires application version v3',
    'BREAKING CHANGE - the names move',
    'BREAKING - the names move',
    'BREAKING:',
    'Breaking changes: the names move',
    '!! BREAKING the names move',
    'breaking - the names move',
  ])('%s', (text) => {
    expect(read(text)).toMatchObject({ misspelled: [{ line: 3 }], requiresVersion: undefined, breaking: [] });
  });

  test.each([
    'Requires application version >= 2.4.0      the release that brings this must be at least that',
    'requires application version >= v2.4',
    'BREAKING: the names move',
    'Breaking change: the names move',
    'this requires a new version of the client',
    'this requires a version of the client that is newer than 2',
    'Requires the extension citext, version 2 of our application has it',
    'Requires PostgreSQL version 14',
    'Requires PostgreSQL version >= 14',
    'The application requires this column since version 2.4',
    'Requires approval by the owner in version 2.4',
    'breaking the table in two',
    'This is no BREAKING change',
    'Breaking it up: two tables',
  ])('and what is understood, or is prose, is not: %s', (text) => {
    expect(read(text).misspelled).toEqual([]);
  });
});

test('what is shown above a question moves no cursor and makes no line of its own', () => {
  const { breaking, accepted } = parseDirectives([
    { text: 'BREAKING: x \u001B[31mred\u001B[2J\n\n✔ all is well\r', line: 1 },
    { text: 'holdfast:accept drop-table: moved\u001B[1A\nin 2.3', line: 2 },
  ]);
  expect(breaking).toEqual([String.raw`x \u001b[31mred\u001b[2J ✔ all is well`]);
  expect(accepted.get('drop-table')).toBe(String.raw`moved\u001b[1A in 2.3`);
});
