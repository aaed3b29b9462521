import type { Ledger } from './ledger.ts';

/** In the note of everything that such a client wrote. */
export const writtenBy = 'written meanwhile';

/**
 * What became of acknowledged writes, as lines: a write that is gone, or that is there more than once. Others may be
 * there as well: one that was made, but whose answer got lost, was never acknowledged. Empty when nothing is wrong.
 */
export function lostWrites(acknowledged: readonly string[], present: readonly string[]): string[] {
  const counts = new Map<string, number>();
  for (const note of present) counts.set(note, (counts.get(note) ?? 0) + 1);
  return acknowledged.flatMap((note) => {
    const count = counts.get(note) ?? 0;
    if (count === 1) return [];
    return [
      count === 0 ? `acknowledged and lost: ${note}` : `acknowledged once, there ${count} times: ${note}`,
    ];
  });
}

/** A client that keeps writing, come what may, and remembers what was acknowledged. */
export class Writer {
  readonly #acknowledged: string[] = [];
  readonly #done: Promise<void>;
  readonly #stop = new AbortController();
  readonly #ledger: Ledger;

  private constructor(ledger: Ledger) {
    this.#ledger = ledger;
    this.#done = this.#write(ledger);
  }

  static start(ledger: Ledger): Writer {
    return new Writer(ledger);
  }

  async stop(): Promise<{ readonly acknowledged: readonly string[] }> {
    this.#stop.abort();
    await this.#done;
    return { acknowledged: this.#acknowledged };
  }

  /** Stops, and asks the appliance for every write that it acknowledged. Empty when all are there, once. */
  async lost(): Promise<string[]> {
    const { acknowledged } = await this.stop();
    return lostWrites(acknowledged, await this.#ledger.notes());
  }

  async #write(ledger: Ledger): Promise<void> {
    const mark = Math.random().toString(36).slice(2);
    for (let number = 0; !this.#stop.signal.aborted; number += 1) {
      const note = `${writtenBy} ${mark} ${number}`;
      const answered = await ledger.post(note, 1).then(
        () => true,
        () => false,
      );
      if (answered) this.#acknowledged.push(note);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }
}
