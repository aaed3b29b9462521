import { beforeAll, expect, test } from 'vitest';
import { loadGrammar } from '../../../orchestrator/schema-migrations/lint/postgres/parse.ts';
import { compareSchemas } from '../../../orchestrator/schema-migrations/schema-difference.ts';

beforeAll(loadGrammar);

const table = (name: string, ...columns: string[]) =>
  `CREATE TABLE public.${name} (\n    ${columns.join(',\n    ')}\n);\n`;

test('a column counts for its own table, and in any place of it', () => {
  const before = table('a', 'id integer', 'note text') + table('b', 'note text', 'id integer');
  const moved = table('a', 'note text', 'id integer') + table('b', 'note text', 'id integer');
  expect(compareSchemas(before, moved, 'postgresql')).toEqual({ lines: [], reordered: ['a'] });
  const without = table('a', 'id integer') + table('b', 'note text', 'id integer');
  expect(compareSchemas(before, without, 'postgresql').lines).toEqual(['missing: a: note text']);
  expect(compareSchemas('a: id\na: note\n', 'a: note\na: id\n', 'sqlite')).toEqual({
    lines: [],
    reordered: ['a'],
  });
});

test('the values of an enum have an order', () => {
  const type = (...values: string[]) => `CREATE TYPE public.t AS ENUM (\n    ${values.join(',\n    ')}\n);\n`;
  expect(compareSchemas(type(`'a'`, `'b'`), type(`'b'`, `'a'`), 'postgresql').lines).toHaveLength(2);
});
