import { closeSync, existsSync, fsyncSync, ftruncateSync, openSync, readFileSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { crc32 } from 'node:zlib';
import { fsyncDirectory } from '../lib/atomic-file.ts';
import { messageOf, NotRestoredError } from '../lib/errors.ts';
import type { JournalEntry } from './journal-entries.ts';

/*
 * A run's journal: one JSON record a line, each with a sequence number and a CRC, each on disk before the act that
 * it announces. The file is allocated beforehand, so that a full disk cannot tear a record: what is not written yet
 * is zero bytes.
 */

export type JournalRecord = JournalEntry & { readonly seq: number; readonly at: string };

/** Room for a few hundred records; a run writes about fifty. It grows by the same amount when that is not enough. */
const allocationBytes = 128 * 1024;

/**
 * The disk did not keep what it was given. What of the journal is on it cannot be known by this process any more, which
 * therefore stops: a new one reads what is there.
 */
export class JournalLostError extends Error {
  constructor(path: string, cause: unknown) {
    super(`the journal ${path} could not be made durable (${messageOf(cause)})`, { cause });
    this.name = 'JournalLostError';
  }
}

export class Journal {
  readonly path: string;
  readonly #records: JournalRecord[];
  #descriptor: number;
  #offset: number;
  #allocated: number;
  #lost: JournalLostError | undefined;

  private constructor(path: string, descriptor: number, contents: JournalContents, allocated: number) {
    this.path = path;
    this.#descriptor = descriptor;
    this.#records = contents.records;
    this.#offset = contents.validBytes;
    this.#allocated = allocated;
  }

  /** Makes a new journal, its room allocated and durable. Throws if there is one already. */
  static create(path: string): Journal {
    const descriptor = openSync(path, 'wx+', 0o600);
    const journal = new Journal(path, descriptor, { records: [], validBytes: 0 }, 0);
    journal.#allocate();
    fsyncDirectory(dirname(path));
    return journal;
  }

  /**
   * Opens a journal to go on writing. A torn tail (a record that was being written when the power went) is cut off:
   * what it announced has not begun. What is good is written once more: after an fsync that failed the kernel may show
   * bytes that never reached the disk, and holds them for written (fsync(2); PostgreSQL stops at such a failure, too).
   *
   * @throws NotRestoredError for a bad record with good ones after it: that is damage, not a torn tail
   */
  static open(path: string): Journal {
    const bytes = readFileSync(path);
    const contents = parseJournal(bytes, path);
    const descriptor = openSync(path, 'r+');
    writeFully(descriptor, bytes.subarray(0, contents.validBytes), 0);
    // Overwritten with zeros instead of truncated: the room must not go back to a disk that may be full by now.
    writeFully(descriptor, Buffer.alloc(bytes.length - contents.validBytes), contents.validBytes);
    fsyncSync(descriptor);
    return new Journal(path, descriptor, contents, bytes.length);
  }

  get records(): readonly JournalRecord[] {
    return this.#records;
  }

  /** True once an fsync failed: nothing more can be announced, so nothing more may be done. */
  get isLost(): boolean {
    return this.#lost !== undefined;
  }

  /**
   * Writes a record and returns when it is durable.
   *
   * @throws JournalLostError if an fsync failed, now or before, and whatever a write throws: then the act must not happen
   */
  append(entry: JournalEntry): JournalRecord {
    if (this.#lost) throw this.#lost;
    const record = { seq: this.#records.length + 1, at: new Date().toISOString(), ...entry } as JournalRecord;
    const line = Buffer.from(encodeRecord(record));
    while (this.#offset + line.length > this.#allocated) this.#allocate();
    writeFully(this.#descriptor, line, this.#offset);
    this.#sync();
    this.#offset += line.length;
    this.#records.push(record);
    return record;
  }

  /** The last record of this type. */
  last<T extends JournalEntry['type']>(type: T): Extract<JournalRecord, { type: T }> | undefined {
    return this.#records.findLast(
      (record): record is Extract<JournalRecord, { type: T }> => record.type === type,
    );
  }

  /** Gives the room that was not used back. */
  close(): void {
    ftruncateSync(this.#descriptor, this.#offset);
    fsyncSync(this.#descriptor);
    closeSync(this.#descriptor);
    this.#descriptor = -1;
  }

  #allocate(): void {
    writeFully(this.#descriptor, Buffer.alloc(allocationBytes), this.#allocated);
    this.#sync();
    this.#allocated += allocationBytes;
  }

  #sync(): void {
    try {
      fsyncSync(this.#descriptor);
    } catch (error) {
      this.#lost = new JournalLostError(this.path, error);
      throw this.#lost;
    }
  }
}

/** Reads a journal that somebody else may be writing. Throws like `Journal.open`. */
export function readJournal(path: string): JournalRecord[] {
  return existsSync(path) ? parseJournal(readFileSync(path), path).records : [];
}

/** The same for those who only look at old runs. Undefined where it is damaged. */
export function tryReadJournal(path: string): JournalRecord[] | undefined {
  try {
    return readJournal(path);
  } catch (error) {
    if (error instanceof NotRestoredError) return undefined;
    throw error;
  }
}

function writeFully(descriptor: number, bytes: Uint8Array, position: number): void {
  for (let done = 0; done < bytes.length;) {
    done += writeSync(descriptor, bytes, done, bytes.length - done, position + done);
  }
}

/** One line: the record's JSON with the CRC-32 of all before it as its last member. */
export function encodeRecord(record: JournalRecord): string {
  const json = JSON.stringify(record);
  return `${json.slice(0, -1)},"crc":"${checksum(json)}"}\n`;
}

function checksum(json: string): string {
  return crc32(json).toString(16).padStart(8, '0');
}

interface JournalContents {
  records: JournalRecord[];
  validBytes: number;
}

/** @throws NotRestoredError for damage that is not a torn tail */
export function parseJournal(bytes: Buffer, path: string): JournalContents {
  const records: JournalRecord[] = [];
  let offset = 0;
  let validBytes = 0;
  let bad: number | undefined;
  while (offset < bytes.length) {
    const newline = bytes.indexOf(0x0a, offset);
    const end = newline === -1 ? bytes.length : newline;
    const line = bytes.subarray(offset, end);
    if (line.every((byte) => byte === 0)) break;
    const record = newline === -1 ? undefined : decodeRecord(line.toString(), records.length + 1);
    if (record && bad === undefined) {
      records.push(record);
      validBytes = end + 1;
    } else if (record === undefined && bad === undefined) {
      bad = records.length + 1;
    }
    if (bad !== undefined && newline !== -1 && holdsRecord(line.toString())) {
      throw new NotRestoredError(
        `the journal ${path} is damaged at record ${bad}: good records follow a bad one`,
        {
          next: 'nothing was touched; restore by hand as RESTORE.md in the newest snapshot says',
        },
      );
    }
    offset = end + 1;
  }
  return { records, validBytes };
}

/** True for a line that is a good record, or ends with one: a damaged newline glues two lines together. */
function holdsRecord(line: string): boolean {
  const start = line.lastIndexOf('{"seq":');
  return start !== -1 && decodeRecord(line.slice(start), undefined) !== undefined;
}

function decodeRecord(line: string, expectedSeq: number | undefined): JournalRecord | undefined {
  const match = /^(\{.*),"crc":"([0-9a-f]{8})"\}$/s.exec(line);
  if (!match) return undefined;
  const json = `${match[1]}}`;
  if (checksum(json) !== match[2]) return undefined;
  const record = JSON.parse(json) as JournalRecord;
  return expectedSeq === undefined || record.seq === expectedSeq ? record : undefined;
}
