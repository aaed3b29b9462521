import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Client } from 'pg';
import { waitFor } from '../../orchestrator/lib/wait.ts';
import type { Ledger } from './ledger.ts';

/** The ledger's own database server: the process, and a way in that no fence closes. */

/** The process id of the postmaster. */
export function postmaster(ledger: Ledger): number {
  const path = join(ledger.open().state.postgres, 'postgres.json');
  return (JSON.parse(readFileSync(path, 'utf8')) as { pid: number }).pid;
}

/** Kills the postmaster alone, as the kernel does when memory is short: its children live on for a while. */
export function killPostmaster(ledger: Ledger): void {
  process.kill(postmaster(ledger), 'SIGKILL');
}

/** A session of the administrator through the socket, which works in the window too. */
export async function openSession(ledger: Ledger, database = 'ledger'): Promise<Client> {
  const folder = ledger.open().state.postgres;
  const { port, adminPassword } = JSON.parse(readFileSync(join(folder, 'credentials.json'), 'utf8')) as {
    port: number;
    adminPassword: string;
  };
  const client = new Client({
    host: join(folder, 'cluster/socket'),
    port,
    user: 'holdfast',
    password: adminPassword,
    database,
  });
  // The server may be killed under it.
  client.on('error', () => {});
  await client.connect();
  return client;
}

/** The server process of the first session that this SQL condition on pg_stat_activity finds; waits for it. */
export async function backendOf(client: Client, condition: string): Promise<number> {
  const pid = await waitFor(
    async () => {
      const { rows } = await client.query<{ pid: number }>(
        `select pid from pg_stat_activity where pid <> pg_backend_pid() and ${condition}`,
      );
      return rows[0]?.pid;
    },
    { timeoutMs: 30_000, everyMs: 20 },
  );
  if (pid === undefined) throw new Error(`no session with ${condition}`);
  return pid;
}
