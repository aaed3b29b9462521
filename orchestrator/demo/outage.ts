/**
 * Adds up the time without a healthy answer: from the start of the first probe that got none to the arrival of the
 * next that did. All times in milliseconds of one clock.
 */
export class OutageClock {
  #since: number | undefined;
  #totalMs = 0;

  /** @param startedAt when the probe was sent; @param endedAt when its answer came, or its failure was known */
  note(healthy: boolean, startedAt: number, endedAt: number): void {
    if (!healthy) {
      this.#since ??= startedAt;
      return;
    }
    if (this.#since === undefined) return;
    this.#totalMs += endedAt - this.#since;
    this.#since = undefined;
  }

  /** @param now for an outage that still lasts */
  totalMs(now: number): number {
    return this.#totalMs + (this.#since === undefined ? 0 : now - this.#since);
  }
}
