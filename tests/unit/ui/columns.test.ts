import { expect, test } from 'vitest';
import { formatColumns } from '../../../orchestrator/ui/columns.ts';

test('columns stand under what they are called, numbers to the right, and a remark takes the room that is left', () => {
  const rows = [
    ['s-1', 'v1.4.0', '9 kB', 'mine'],
    ['s-22', 'v1', '12 MB', ''],
    ['s-3', 'damaged: it has no manifest'],
  ];
  expect(formatColumns(['ID', 'VERSION', 'SIZE', 'NAME'], rows, { right: [2] }).join('\n'))
    .toMatchInlineSnapshot(`
    "ID    VERSION   SIZE  NAME
    s-1   v1.4.0    9 kB  mine
    s-22  v1       12 MB
    s-3   damaged: it has no manifest"
  `);
});
