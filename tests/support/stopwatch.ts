import { join } from 'node:path';
import { formatDuration } from '../../orchestrator/lib/units.ts';
import { readJournal } from '../../orchestrator/pipeline/journal.ts';
import type { Ledger } from './ledger.ts';

/** How long things took, told when all is done: the figures in docs/RELIABILITY.md are such. */
export class Stopwatch {
  readonly #took: [string, number, number | undefined][] = [];

  /** @param offline asks, when the work is done, how long nobody was served */
  async time<T>(what: string, work: () => Promise<T>, offline?: () => number | undefined): Promise<T> {
    const startedAt = performance.now();
    const result = await work();
    this.#took.push([what, performance.now() - startedAt, offline?.()]);
    return result;
  }

  print(): void {
    for (const [what, took, offline] of this.#took) {
      const of = offline === undefined ? '' : `, offline ${formatDuration(offline)}`;
      console.log(`took: ${what}: ${formatDuration(took)}${of}`);
    }
  }
}

/** For how long the last run of an appliance had it offline. */
export function lastOutage(ledger: Ledger): number | undefined {
  const { state } = ledger.open();
  const last = state.runIds().at(-1) ?? '';
  const end = readJournal(join(state.run(last), 'journal.ndjson')).findLast(
    ({ type }) => type === 'finished',
  );
  return end?.type === 'finished' ? end.outageMs : undefined;
}
