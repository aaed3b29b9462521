import { setTimeout as sleep } from 'node:timers/promises';
import { ask, type Answer } from '../appliance/http.ts';
import { messageOf } from '../lib/errors.ts';
import type { Content, Ledger } from './ledger.ts';
import { OutageClock } from './outage.ts';

const probeEveryMs = 20;
const pauseMs = 20;
const statuses = ['active', 'maintenance', 'retired'] as const;

export interface TrafficReport {
  readonly outageMs: number;
  readonly acknowledged: number;
  /** Writes that got no answer, or a no. */
  readonly refused: number;
  /** Answers that no update explains, such as a 400. */
  readonly oddities: readonly string[];
}

/** Somebody who works with the appliance while it is updated. */
export interface Traffic {
  /** The services have stopped: rows made from now on are of the next era. */
  nextEra(): void;
  /** Ends it and tells how it went. */
  stop(): Promise<TrafficReport>;
}

/**
 * Writes through the appliance's public port, some 30 times a second, one write after another, and remembers what was
 * acknowledged; asks for its health through the same port every 20 ms.
 *
 * @param prefix what the serial numbers of this client's machines begin with
 */
export function startTraffic(port: number, prefix: string, ledger: Ledger, firstEra: number): Traffic {
  const writer = new Writer(`http://127.0.0.1:${port}/api/machines`, prefix, ledger, firstEra);
  const clock = new OutageClock();
  let running = true;
  const writing = repeat(
    () => running,
    pauseMs,
    async () => await writer.write(),
  );
  const probing = repeat(
    () => running,
    probeEveryMs,
    async () => {
      const startedAt = performance.now();
      const healthy = await isHealthy(`http://127.0.0.1:${port}/health`);
      clock.note(healthy, startedAt, performance.now());
    },
  );
  return {
    nextEra: () => writer.nextEra(),
    stop: async () => {
      running = false;
      await Promise.all([writing, probing]);
      const { acknowledged, refused, oddities } = writer;
      return { outageMs: clock.totalMs(performance.now()), acknowledged, refused, oddities: [...oddities] };
    },
  };
}

async function repeat(goOn: () => boolean, everyMs: number, work: () => Promise<void>): Promise<void> {
  while (goOn()) {
    await work();
    await sleep(everyMs);
  }
}

async function isHealthy(url: string): Promise<boolean> {
  try {
    return (await ask(url, { timeoutMs: 1000 })).status === 200;
  } catch {
    return false;
  }
}

class Writer {
  acknowledged = 0;
  refused = 0;
  readonly oddities = new Set<string>();
  readonly #url: string;
  readonly #prefix: string;
  readonly #ledger: Ledger;
  #era: number;
  #made = 0;
  #turn = 0;
  /** Rows that may be changed: made in this era, and nothing went wrong with any of them. */
  #mine: { id: number; content: Content }[] = [];

  constructor(url: string, prefix: string, ledger: Ledger, era: number) {
    this.#url = url;
    this.#prefix = prefix;
    this.#ledger = ledger;
    this.#era = era;
  }

  nextEra(): void {
    this.#era += 1;
    this.#mine = [];
  }

  /** Every third write makes a machine; the others change one. */
  async write(): Promise<void> {
    this.#turn += 1;
    const old = this.#turn % 3 === 0 ? undefined : this.#mine[this.#turn % Math.max(1, this.#mine.length)];
    const content: Content = {
      serial: old?.content.serial ?? `${this.#prefix}${String((this.#made += 1)).padStart(5, '0')}`,
      name: old?.content.name ?? `Client's machine ${this.#made}`,
      location: `Hall ${this.#turn % 7}, bay ${this.#turn}`,
      status: statuses[this.#turn % statuses.length] ?? 'active',
    };
    const era = this.#era;
    const answer = await this.#send(old?.id, content);
    if (!(answer instanceof Error) && answer.status >= 200 && answer.status < 300) {
      this.#ledger.acknowledge(content, era);
      this.acknowledged += 1;
      if (era === this.#era) this.#remember(old?.id ?? idIn(answer), content);
      return;
    }
    this.refused += 1;
    // Nothing is known of what happened to it, or everything is different now: start anew with rows of one's own.
    this.#mine = [];
    if (!isClearlyRefused(answer)) this.#ledger.doubt(content, era);
    if (!(answer instanceof Error) && answer.status < 500) {
      this.oddities.add(`a write was answered ${answer.status}: ${answer.body.slice(0, 200)}`);
    }
  }

  async #send(id: number | undefined, content: Content): Promise<Answer | Error> {
    const { serial: _, ...change } = content;
    try {
      return await ask(id === undefined ? this.#url : `${this.#url}/${id}`, {
        method: id === undefined ? 'POST' : 'PATCH',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(id === undefined ? content : change),
        timeoutMs: 10_000,
      });
    } catch (error) {
      return error instanceof Error ? error : new Error(messageOf(error));
    }
  }

  #remember(id: number | undefined, content: Content): void {
    if (id === undefined) return;
    this.#mine = [{ id, content }, ...this.#mine.filter((row) => row.id !== id)].slice(0, 40);
  }
}

function idIn(answer: Answer): number | undefined {
  const { id } = JSON.parse(answer.body) as { id?: number };
  return id;
}

/** Nobody listened, or the gate was closed: it was certainly not done. */
function isClearlyRefused(answer: Answer | Error): boolean {
  if (answer instanceof Error) return 'code' in answer && answer.code === 'ECONNREFUSED';
  return answer.status < 500 || answer.headers['holdfast-gate'] === 'closed';
}
