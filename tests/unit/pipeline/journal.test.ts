import { appendFileSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import { beforeEach, describe, expect, test } from 'vitest';
import { NotRestoredError } from '../../../orchestrator/lib/errors.ts';
import type { JournalEntry } from '../../../orchestrator/pipeline/journal-entries.ts';
import { encodeRecord, Journal, readJournal } from '../../../orchestrator/pipeline/journal.ts';
import { folderInMemory } from '../support/temporary-folder.ts';

const entries: readonly JournalEntry[] = [
  { type: 'prepared' },
  { type: 'window-opened', services: ['api', 'wéb "x"'] },
  { type: 'step-started', step: 'migrate-schema', half: 'apply' },
  { type: 'step-failed', step: 'migrate-schema', message: 'two\nlines, a \0 and ","crc":"00000000"}' },
  { type: 'sealed', snapshot: 's1', manifestSha256: 'a'.repeat(64) },
  { type: 'committed' },
];

let path: string;
beforeEach(() => {
  path = join(folderInMemory(), 'journal.ndjson');
});

/** A journal with these entries, closed; the bytes that it has then. */
function written(some: readonly JournalEntry[] = entries): Buffer {
  const journal = Journal.create(path);
  for (const entry of some) journal.append(entry);
  journal.close();
  return readFileSync(path);
}
const typesOf = (records: readonly JournalEntry[]): string[] => records.map(({ type }) => type);

test('what was appended is there after it is opened again, in order and numbered', () => {
  written(entries.slice(0, 3));
  const journal = Journal.open(path);
  for (const entry of entries.slice(3)) journal.append(entry);
  expect(journal.records.map(({ seq }) => seq)).toEqual([1, 2, 3, 4, 5, 6]);
  expect(journal.records).toMatchObject(entries);
  expect(readJournal(path)).toEqual(journal.records);
  journal.close();
  expect(readJournal(path)).toEqual(journal.records);
});

test('any record comes back as it was', () => {
  const text = fc.string({ unit: 'binary' });
  fc.assert(
    fc.property(fc.array(text, { minLength: 1, maxLength: 20 }), (messages) => {
      path = join(folderInMemory(), 'journal.ndjson');
      written(messages.map((message) => ({ type: 'warning', message })));
      expect(readJournal(path).map((record) => record.type === 'warning' && record.message)).toEqual(
        messages,
      );
    }),
    { numRuns: 8 },
  );
});

test('there is one journal a run: to create it twice is an error', () => {
  written();
  expect(() => Journal.create(path)).toThrow(/EEXIST/);
});

test('it is 0600: it names services and failures', () => {
  written();
  expect(statSync(path).mode & 0o777).toBe(0o600);
});

test('the last record of a type is the newest one', () => {
  const journal = Journal.create(path);
  for (const message of ['a', 'b']) journal.append({ type: 'warning', message });
  expect(journal.last('warning')?.message).toBe('b');
  expect(journal.last('committed')).toBeUndefined();
  journal.close();
});

describe('its room', () => {
  test('is zero bytes, and given back at the end', () => {
    const journal = Journal.create(path);
    const before = readFileSync(path);
    expect(before.length).toBeGreaterThan(100_000);
    expect(before.every((byte) => byte === 0)).toBe(true);
    journal.append({ type: 'prepared' });
    const after = readFileSync(path);
    expect(after.length).toBe(before.length);
    expect(after.subarray(after.indexOf('\n') + 1).every((byte) => byte === 0)).toBe(true);
    journal.close();
    expect(statSync(path).size).toBe(after.indexOf('\n') + 1);
  });

  test('is kept by whoever opens it after a crash: the disk may be full by then', () => {
    const journal = Journal.create(path);
    journal.append({ type: 'prepared' });
    const { size } = statSync(path);
    Journal.open(path).append({ type: 'committed' });
    expect(statSync(path).size).toBe(size);
    expect(typesOf(readJournal(path))).toEqual(['prepared', 'committed']);
    journal.close();
  });

  test('grows when it is not enough, and nothing is lost', () => {
    const journal = Journal.create(path);
    const { size } = statSync(path);
    const messages = Array.from({ length: 40 }, (_, i) => `${i} ${'x'.repeat(i === 20 ? 300_000 : 10_000)}`);
    for (const message of messages) {
      journal.append({ type: 'warning', message });
      // Always by whole pieces: a record is never written where there is no room yet.
      expect(statSync(path).size % size).toBe(0);
    }
    expect(statSync(path).size).toBeGreaterThan(size);
    expect(readJournal(path)).toEqual(journal.records);
    expect(journal.records).toHaveLength(40);
    journal.close();
  });
});

describe('a torn tail is cut off', () => {
  test('at every byte of the last record: all before it is there, and the next one is not glued to it', () => {
    const whole = written();
    const last = whole.lastIndexOf('\n', whole.length - 2) + 1;
    for (let end = last; end < whole.length; end += 1) {
      for (const room of [0, 4096]) {
        writeFileSync(path, Buffer.concat([whole.subarray(0, end), Buffer.alloc(room)]));
        expect(typesOf(readJournal(path))).toEqual(typesOf(entries.slice(0, -1)));
        const journal = Journal.open(path);
        journal.append({ type: 'restored' });
        journal.close();
        expect(typesOf(readJournal(path))).toEqual([...typesOf(entries.slice(0, -1)), 'restored']);
        expect(readFileSync(path, 'utf8').trimEnd().split('\n')).toHaveLength(entries.length);
      }
    }
  });

  test('of which only a later block reached the disk', () => {
    const whole = written();
    const last = whole.lastIndexOf('\n', whole.length - 2) + 1;
    const torn = Buffer.from(whole);
    torn.fill(0, last, last + 20);
    writeFileSync(path, torn);
    const journal = Journal.open(path);
    journal.append({ type: 'restored' });
    journal.close();
    expect(typesOf(readJournal(path)).at(-1)).toBe('restored');
    expect(readJournal(path)).toHaveLength(entries.length);
  });

  test('and one byte of it that was flipped: the record is not believed', () => {
    const whole = written();
    const at = whole.length - 30;
    whole.writeUInt8(whole.readUInt8(at) ^ 1, at);
    writeFileSync(path, whole);
    expect(typesOf(readJournal(path))).toEqual(typesOf(entries.slice(0, -1)));
  });
});

describe('damage that is no torn tail stops with exit 11', () => {
  test('a bit flipped anywhere before the last record', () => {
    const whole = written();
    const last = whole.lastIndexOf('\n', whole.length - 2) + 1;
    fc.assert(
      fc.property(fc.nat(last - 1), fc.nat(7), (at, bit) => {
        const bytes = Buffer.from(whole);
        bytes.writeUInt8(bytes.readUInt8(at) ^ (1 << bit), at);
        writeFileSync(path, bytes);
        expect(() => readJournal(path)).toThrow(NotRestoredError);
        expect(() => Journal.open(path)).toThrow(`the journal ${path} is damaged at record`);
        expect(readFileSync(path).equals(bytes)).toBe(true);
      }),
      // The newline before the last record: without it two records stand in one line.
      {
        numRuns: 300,
        examples: [
          [last - 1, 0],
          [last - 1, 5],
          [0, 0],
        ],
      },
    );
  });

  test('its exit code is 11, and it names the record', () => {
    const whole = written();
    whole.writeUInt8(whole.readUInt8(10) ^ 4, 10);
    writeFileSync(path, whole);
    expect(() => readJournal(path)).toThrow(expect.objectContaining({ exitCode: 11 }));
    expect(() => readJournal(path)).toThrow('damaged at record 1: good records follow a bad one');
  });

  test('a record that is missing from the middle, or stands there twice', () => {
    const lines = written().toString().trimEnd().split('\n');
    for (const changed of [
      lines.toSpliced(2, 1),
      lines.toSpliced(2, 0, lines[2] ?? ''),
      [lines[1], lines[0], ...lines.slice(2)],
    ]) {
      writeFileSync(path, `${changed.join('\n')}\n`);
      expect(() => readJournal(path)).toThrow(NotRestoredError);
    }
  });
});

describe('a record', () => {
  const record = { seq: 1, at: '2026-11-20T02:14:03.000Z', type: 'prepared' } as const;

  test('is one line of JSON that ends with its checksum', () => {
    const json = JSON.stringify(record);
    const checksum = crc32(json).toString(16).padStart(8, '0');
    expect(encodeRecord(record)).toBe(`${json.slice(0, -1)},"crc":"${checksum}"}\n`);
  });

  test('that somebody wrote by hand is not believed', () => {
    written(entries.slice(0, 1));
    appendFileSync(path, encodeRecord({ ...record, seq: 2 }).replace('"prepared"', '"committed"'));
    expect(typesOf(readJournal(path))).toEqual(['prepared']);
  });
});

describe('reading while another writes', () => {
  test('shows every record that is durable, and never throws', () => {
    const journal = Journal.create(path);
    for (const [index, entry] of entries.entries()) {
      expect(typesOf(readJournal(path))).toEqual(typesOf(entries.slice(0, index)));
      journal.append(entry);
    }
    expect(readJournal(path)).toEqual(journal.records);
    journal.close();
  });

  test('shows nothing of a journal that is not there yet, or only just made', () => {
    expect(readJournal(path)).toEqual([]);
    writeFileSync(path, '');
    expect(readJournal(path)).toEqual([]);
  });
});
