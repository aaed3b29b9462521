import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  ancestorsOf,
  displayPath,
  joinRaw,
  parentOf,
  rawFromBytes,
  rawFromJson,
  rawFromText,
  rawToBytes,
  rawToJson,
  under,
} from '../../../orchestrator/lib/raw-path.ts';

/** A path as Linux allows it: any byte but NUL; no empty names. */
const name = fc
  .uint8Array({ min: 1, max: 255, minLength: 1, maxLength: 12 })
  .map((bytes) => Uint8Array.from(bytes, (byte) => (byte === 0x2f ? 0x2e : byte)));
const path = fc
  .array(name, { minLength: 1, maxLength: 4 })
  .map((names) =>
    rawFromBytes(Buffer.concat(names.flatMap((part, i) => (i === 0 ? [part] : [Buffer.from('/'), part])))),
  );

test('any name survives JSON, byte for byte', () => {
  fc.assert(
    fc.property(path, (raw) => {
      const line = JSON.stringify({ path: rawToJson(raw) });
      const back = rawFromJson((JSON.parse(line) as { path: string }).path);
      expect([...rawToBytes(back)]).toEqual([...rawToBytes(raw)]);
    }),
    { numRuns: 1000 },
  );
});

test('two names never become the same JSON text', () => {
  fc.assert(
    fc.property(path, path, (one, other) => {
      expect(rawToJson(one) === rawToJson(other)).toBe(one === other);
    }),
  );
});

test('a name that is UTF-8 is readable in JSON, another one is marked', () => {
  expect(rawToJson(rawFromText('données/été.txt'))).toBe('données/été.txt');
  expect(rawToJson(rawFromBytes(Buffer.from([0x61, 0xff])))).toBe('//base64:Yf8=');
});

test('a part of a bigger buffer is read as that part', () => {
  expect(rawFromBytes(Buffer.from('xxabcxx').subarray(2, 5))).toBe('abc');
});

test('parents and ancestors, nearest first, without the root', () => {
  const deep = rawFromText('a/b/c');
  expect(parentOf(deep)).toBe('a/b');
  expect(ancestorsOf(deep)).toEqual(['a/b', 'a']);
  expect(ancestorsOf(rawFromText('a'))).toEqual([]);
  expect(joinRaw(rawFromText(''), rawFromText('a'))).toBe('a');
  expect(joinRaw(rawFromText('a'), rawFromText('b'))).toBe('a/b');
});

test('under a root, the bytes are those of the kernel', () => {
  expect(under('/srv/ö', rawFromBytes(Buffer.from([0xff])))).toEqual(
    Buffer.concat([Buffer.from('/srv/ö/'), Buffer.from([0xff])]),
  );
  expect(under('/srv', rawFromText(''))).toEqual(Buffer.from('/srv'));
});

test('for people a name stays on one line', () => {
  expect(displayPath(rawFromText('two\nlines\t\u001b[31m'))).toBe('two\\nlines\\t\\u001b[31m');
});
