/** What the client says of a machine. */
export interface Content {
  readonly serial: string;
  readonly name: string;
  readonly location: string;
  readonly status: string;
}

/** A row that the client wrote, with all that was acknowledged of it, in order. */
export interface LedgerRow {
  readonly serial: string;
  /** When it was made: 0 before the services stopped for the first time, 1 before the second, ... */
  readonly era: number;
  readonly acknowledged: readonly Content[];
  /** Sent, and no answer that says whether it was done. Either way is right; it is always the last of its row. */
  readonly doubtful: Content | undefined;
}

export interface Judgement {
  /** Acknowledged writes that cannot be found. */
  readonly lostWrites: number;
  readonly foundWrites: number;
  readonly rows: number;
  /** Rows of the client that nobody is known to have written. */
  readonly strangers: readonly string[];
}

/**
 * What a client remembers of its writes. A row is left alone after a write to it failed, and when the services stop, so
 * each row belongs to one era: which of them a snapshot holds is known without asking the appliance.
 */
export class Ledger {
  readonly #rows = new Map<string, { era: number; acknowledged: Content[]; doubtful: Content | undefined }>();

  acknowledge(content: Content, era: number): void {
    this.#row(content.serial, era).acknowledged.push(content);
  }

  doubt(content: Content, era: number): void {
    this.#row(content.serial, era).doubtful = content;
  }

  /** The rows of these eras. */
  rows(wanted: (era: number) => boolean): LedgerRow[] {
    return [...this.#rows].filter(([, row]) => wanted(row.era)).map(([serial, row]) => ({ serial, ...row }));
  }

  #row(serial: string, era: number) {
    let row = this.#rows.get(serial);
    if (!row) this.#rows.set(serial, (row = { era, acknowledged: [], doubtful: undefined }));
    return row;
  }
}

/** How many acknowledged writes these rows hold. */
export function countWrites(rows: readonly LedgerRow[]): number {
  return rows.reduce((sum, { acknowledged }) => sum + acknowledged.length, 0);
}

/**
 * Looks every row of a ledger up in what a database holds.
 *
 * @param found the client's rows in the database, by serial
 */
export function judge(rows: readonly LedgerRow[], found: ReadonlyMap<string, Content>): Judgement {
  let lostWrites = 0;
  const known = new Set<string>();
  for (const { serial, acknowledged, doubtful } of rows) {
    known.add(serial);
    const content = found.get(serial);
    if (content && doubtful && isSame(content, doubtful)) continue;
    // Writes after the one that is found are lost; all of them, where the row or its content is not to be found.
    const last = content === undefined ? -1 : acknowledged.findLastIndex((one) => isSame(one, content));
    lostWrites += acknowledged.length - 1 - last;
  }
  return {
    lostWrites,
    foundWrites: countWrites(rows) - lostWrites,
    rows: rows.length,
    strangers: [...found.keys()].filter((serial) => !known.has(serial)),
  };
}

function isSame(a: Content, b: Content): boolean {
  return a.serial === b.serial && a.name === b.name && a.location === b.location && a.status === b.status;
}
