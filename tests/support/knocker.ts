import { Client } from 'pg';

/**
 * A program with the application's own credentials that Holdfast knows nothing of, such as a cron job: it connects
 * anew for each row that it writes, in a loop, and remembers which ones the database acknowledged.
 */
export class Knocker {
  readonly #acknowledged: string[] = [];
  readonly #stop = new AbortController();
  readonly #done: Promise<void>;
  #refused = 0;

  private constructor(url: string) {
    this.#done = this.#knock(url);
  }

  static start(url: string): Knocker {
    return new Knocker(url);
  }

  /** How often it was not let in, or thrown out. */
  get refused(): number {
    return this.#refused;
  }

  async stop(): Promise<readonly string[]> {
    this.#stop.abort();
    await this.#done;
    return this.#acknowledged;
  }

  async #knock(url: string): Promise<void> {
    const mark = Math.random().toString(36).slice(2);
    for (let number = 0; !this.#stop.signal.aborted; number += 1) {
      const note = `by cron ${mark} ${number}`;
      try {
        await write(url, note);
        this.#acknowledged.push(note);
      } catch {
        this.#refused += 1;
      }
      await new Promise((resolve) => setTimeout(resolve, 15));
    }
  }
}

async function write(url: string, note: string): Promise<void> {
  const client = new Client({ connectionString: url, connectionTimeoutMillis: 2000 });
  client.on('error', () => {});
  await client.connect();
  try {
    await client.query('insert into entries (note, amount) values ($1, 1)', [note]);
  } finally {
    await client.end().catch(() => {});
  }
}
