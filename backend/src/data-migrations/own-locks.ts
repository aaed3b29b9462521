import { Client } from 'pg';
import { Session, unref } from './session.ts';
import { asEngine } from './session-name.ts';

const EVERY_MS = 1_000;
/** A batch waits for its callback only; a transaction may have other reasons to stand still for a while. */
const ROUNDS = { batch: 5, dryRun: 5, transaction: 60, script: 30 } as const;

const OWN_WAITS = `
  WITH RECURSIVE own AS (
    SELECT pid, state, wait_event_type, state_change::text AS since FROM pg_stat_activity
    WHERE datname = current_database() AND application_name = $1
  ), waits (waiter, blocker) AS (
    SELECT pid, unnest(pg_blocking_pids(pid)) FROM own WHERE wait_event_type = 'Lock'
    UNION SELECT waiter, unnest(pg_blocking_pids(blocker)) FROM waits
  )
  SELECT waits.waiter, blocker.pid AS blocker, waiter.since || '/' || blocker.since AS since
  FROM waits JOIN own waiter ON waiter.pid = waits.waiter JOIN own blocker ON blocker.pid = waits.blocker
  WHERE blocker.state LIKE 'idle in transaction%'`;

interface OwnWait {
  readonly waiter: number;
  readonly blocker: number;
  readonly since: string;
}

/** A watch over one migration. */
export interface OwnLocks {
  /** What was found: the migration itself only sees that a session of it was ended. */
  stuck(): Error | undefined;
  end(): Promise<void>;
}

/**
 * Watches a migration at work for one of its sessions that waits for a lock of another one, which does nothing: that one
 * waits for the first in turn, here and not on the server, so no deadlock detector sees it. Waits for others' locks are
 * left alone.
 *
 * @param name of the migration's sessions
 * @param whose what the sessions are of that this process did not open itself
 * @param onStuck is told once; by then the one that waited is ended, and nothing of it is kept
 */
export function watchOwnLocks(
  url: string,
  name: string,
  onStuck: (error: Error) => void,
  whose: keyof typeof ROUNDS = 'transaction',
): OwnLocks {
  let stuck: Error | undefined;
  let client: Client | undefined;
  let rounds = new Map<string, number>();
  let timer: NodeJS.Timeout | undefined;
  let isOver = false;

  const look = async (): Promise<void> => {
    if (client === undefined) {
      client = new Client({ connectionString: asEngine(url) });
      client.on('error', () => {});
      await client.connect();
      unref(client);
    }
    const { rows } = await client.query<OwnWait>(OWN_WAITS, [name]);
    const seen = new Map<string, number>();
    for (const { waiter, blocker, since } of rows) {
      const key = `${waiter} ${blocker} ${since}`;
      const count = (rounds.get(key) ?? 0) + 1;
      seen.set(key, count);
      const kind = Session.isOpen(blocker) ? (whose === 'dryRun' ? 'dryRun' : 'batch') : whose;
      if (count < ROUNDS[kind]) continue;
      stuck = new Error(STUCK[kind]);
      // Once the lock is let go it would change its row before it notices that nobody is there any more.
      await client.query('SELECT pg_terminate_backend($1)', [waiter]);
      onStuck(stuck);
      return;
    }
    rounds = seen;
  };
  const next = (): void => {
    if (isOver) return;
    timer = setTimeout(() => {
      // Without the watch it works all the same.
      void look()
        .catch(async () => {
          await client?.end().catch(() => {});
          client = undefined;
        })
        .finally(next);
    }, EVERY_MS).unref();
  };
  next();
  return {
    stuck: () => stuck,
    async end() {
      isOver = true;
      clearTimeout(timer);
      await client?.end().catch(() => {});
    },
  };
}

const STUCK = {
  batch:
    'a query through "prisma" waits for a row that its own batch holds, and the batch waits for the query: use the "tx" that the callback is given, or return the changes',
  transaction:
    'a query through "prisma" waits for what its own $transaction holds, and the transaction waits for the query: use "tx" inside of $transaction',
  dryRun:
    'it cannot be tried: a client of its own waits for what the transaction of the dry run holds, and that waits for the client. That says nothing of a run for real, where nothing is held; what goes through "prisma" alone can be tried',
  script:
    'one of its clients waits for what a transaction of another one of them holds, and that does nothing: end the transaction first, or use one client',
} as const;
