import type { Client } from 'pg';

const LOOK_EVERY_MS = 1000;
/** A database that never calms down must not hold an update for ever, nor make each of its seconds last so long. */
const LONGEST_HOLD_MS = 30_000;
const PAUSE_MS = 500;

interface Load {
  readonly waiting: number;
  readonly lag: number;
  readonly long: number;
}

// Clients only: an autovacuum may be at it for hours, and gives way by itself. Sessions that wait for a lock; replicas that are behind; transactions of others that are older than a minute.
const LOAD = `
SELECT
  (SELECT count(*)::int FROM pg_stat_activity
    WHERE datname = current_database() AND wait_event_type = 'Lock' AND pid <> pg_backend_pid()
      AND backend_type = 'client backend') AS waiting,
  (SELECT coalesce(max(extract(epoch FROM replay_lag)), 0)::float8 FROM pg_stat_replication) AS lag,
  (SELECT count(*)::int FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid() AND state <> 'idle'
      AND backend_type = 'client backend' AND xact_start < now() - interval '1 minute') AS long`;

/**
 * Waits while the database is busy with others, and says why. It looks at most once a second, and holds the batches back
 * for half a minute in all, until the database has been calm in between.
 */
export class Health {
  readonly #client: Client;
  readonly #log: (message: string) => void;
  readonly #longestMs: number;
  #leftMs: number;
  #lookedAt = Number.NEGATIVE_INFINITY;

  constructor(client: Client, log: (message: string) => void, longestMs = LONGEST_HOLD_MS) {
    this.#client = client;
    this.#log = log;
    this.#longestMs = longestMs;
    this.#leftMs = longestMs;
  }

  async hold(signal: AbortSignal): Promise<void> {
    if (performance.now() - this.#lookedAt < LOOK_EVERY_MS) return;
    const startedAt = performance.now();
    let said: string | undefined;
    let heldMs = 0;
    while (!signal.aborted) {
      const reason = describe(await this.#look());
      heldMs = performance.now() - startedAt;
      if (reason === undefined) this.#leftMs = this.#longestMs + heldMs;
      if (reason === undefined || heldMs >= this.#leftMs) break;
      if (reason !== said) this.#log(`held back: ${reason}`);
      said = reason;
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
    if (said !== undefined) this.#log('going on');
    this.#leftMs = Math.max(0, this.#leftMs - heldMs);
    this.#lookedAt = performance.now();
  }

  async #look(): Promise<Load> {
    const { rows } = await this.#client.query<Load>(LOAD);
    return rows[0] ?? { waiting: 0, lag: 0, long: 0 };
  }
}

function describe({ waiting, lag, long }: Load): string | undefined {
  if (waiting > 0) return `${waiting} ${waiting === 1 ? 'session waits' : 'sessions wait'} for a lock`;
  if (lag > 10) return `a replica is ${Math.round(lag)} s behind`;
  if (long > 0) return `${long} ${long === 1 ? 'transaction is' : 'transactions are'} older than a minute`;
  return undefined;
}
