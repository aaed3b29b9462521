import type { Ledger } from './ledger.ts';

/** In the note of everything that such a client wrote. */
export const writtenBy = 'written meanwhile';

/** A client that keeps writing, come what may, and remembers what was acknowledged. */
export class Writer {
  readonly #acknowledged: string[] = [];
  readonly #done: Promise<void>;
  readonly #stop = new AbortController();

  private constructor(ledger: Ledger) {
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
