import fc from 'fast-check';
import { expect, test } from 'vitest';
import { formatBytes, formatCount, formatDuration, plural } from '../../../orchestrator/lib/units.ts';

test.each([
  [0, '0 ms'],
  [850.4, '850 ms'],
  [999.7, '1.0 s'],
  [4120, '4.1 s'],
  [9_960, '10 s'],
  [14_000, '14 s'],
  [59_700, '1 min 0 s'],
  [119_700, '2 min 0 s'],
  [192_000, '3 min 12 s'],
  [3_599_900, '1 h 0 min'],
  [7_260_000, '2 h 1 min'],
  [200_000_000, '2 days'],
])('%d ms read "%s"', (ms, text) => {
  expect(formatDuration(ms)).toBe(text);
});

test('no duration reads like "60 s" or "1000 ms"', () => {
  fc.assert(
    fc.property(fc.double({ min: 0, max: 1e8, noNaN: true }), (ms) => {
      expect(formatDuration(ms)).not.toMatch(/\b(1000 ms|60 s|60 min|10\.0 s)/);
    }),
    { numRuns: 2000, examples: [[59_999], [119_999], [9_999], [999.9], [3_599_999]] },
  );
});

test.each([
  [0, '0 bytes'],
  [999, '999 bytes'],
  [1000, '1.0 kB'],
  [9_960, '10 kB'],
  [999_999, '1.0 MB'],
  [3_140_000_000, '3.1 GB'],
  [52_000_000_000_000, '52 TB'],
])('%d bytes read "%s"', (bytes, text) => {
  expect(formatBytes(bytes)).toBe(text);
});

test('counts have separators, and one is no plural', () => {
  expect(formatCount(12_004)).toBe('12,004');
  expect([plural(1, 'file'), plural(0, 'file'), plural(2, 'entry', 'entries')]).toEqual([
    '1 file',
    '0 files',
    '2 entries',
  ]);
});
