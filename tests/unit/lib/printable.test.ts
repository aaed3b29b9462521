import { expect, test } from 'vitest';
import { printable, visible } from '../../../orchestrator/lib/printable.ts';

test('text of a vendor keeps its lines, and nothing that moves a cursor or turns text around', () => {
  expect(printable('One\n\ttwo \u001B[31mred\u001B[2J\r\u009B1A\u202Eend\u2069')).toBe(
    'One\n\ttwo [31mred[2J1Aend',
  );
});

test('a name stays on its line, and what is odd in it can be seen', () => {
  expect(visible('us\u001B[2Jers\r\n\u009B1A\u202Ex\u2028')).toBe(
    String.raw`us\u001b[2Jers\r\n\u009b1A\u202ex\u2028`,
  );
  expect(visible('größe 猫 👩‍👧')).toBe('größe 猫 👩‍👧');
});
