/*
 * The queries of a migration that failed. One whose failure did not reach the engine is no success: it was caught, and
 * carried on from. What is meant so, the file says: `holdfast:expected 23505` in a comment.
 */

/** What it wanted to make is there already. */
const ALREADY_THERE = /^(?:42P0[4-7]|42701|42710|42723)$/;
/** A read by which it looks whether a column or a table is there. */
const NOT_THERE = /^(?:42703|42P01|P202[12])$/;
const READ = /^\s*(?:SELECT|WITH|TABLE|find|count|aggregate|groupBy)(?![\s\S]*\b(?:UPDATE|DELETE|INSERT)\b)/i;
/** Prisma's "not found", which is an answer. */
const NOT_FOUND = 'P2025';

/** What the comments of a file say that it expects: SQLSTATEs, Prisma's codes, `no-database`. */
export function readExpected(text) {
  const found = text.matchAll(
    /(?:\/\/|--|\*)[^\n]*?holdfast:expected((?:[ ,]+(?:[0-9A-Z]{5}|\d{1,4}|no-database)\b)+)/g,
  );
  return new Set([...found].flatMap(([, codes]) => codes.split(/[ ,]+/).filter(Boolean)));
}

export class Failures {
  #expected;
  #open = new Map();

  /** @param {ReadonlySet<string>} expected */
  constructor(expected) {
    this.#expected = expected;
  }

  /**
   * @param {{ key: string, text: string, codes: readonly string[], message: string, place?: unknown }} one `text` is the
   * query's, `key` that with its values, `place` the transaction that it was in
   */
  failed(one) {
    const { codes, text } = one;
    if (codes.some((code) => ALREADY_THERE.test(code) || code === NOT_FOUND || this.#expected.has(code)))
      return;
    if (codes.some((code) => NOT_THERE.test(code)) && READ.test(text)) return;
    this.#open.set(one.key, one);
  }

  /** The same query, with the same values, was tried again; or a savepoint was gone back to. */
  succeeded({ key, text, place }) {
    if (!/^\s*(?:COMMIT|END)\b/i.test(text)) this.#open.delete(key);
    if (!/^\s*ROLLBACK\s+(?:WORK\s+|TRANSACTION\s+)?TO\b/i.test(text)) return;
    for (const [other, one] of this.#open) if (one.place === place) this.#open.delete(other);
  }

  /** Why an end that says nothing of a failure is none with success; undefined where there was none. */
  describe() {
    const [first] = this.#open.values();
    if (first === undefined) return undefined;
    const [code] = first.codes;
    const others = this.#open.size > 1 ? `, and ${this.#open.size - 1} more` : '';
    const said = String(first.message).replaceAll(/\s+/g, ' ').trim();
    return `a query of it failed (${said}${code === undefined ? '' : `, ${code}`}${others}), and it carried on as if it had not: throw the error on${code === undefined ? '' : `; what is meant so it says in a comment: holdfast:expected ${code}`}`;
  }
}
