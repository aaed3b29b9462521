import { messageOf } from '../lib/errors.ts';
import { waitFor } from '../lib/wait.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { PostgresClient } from './client.ts';
import { quoteIdentifier, quoteLiteral } from './connection.ts';
import { cluster, home, port } from './container-cluster.ts';
import type { PostgresServer } from './server.ts';

/**
 * A second server inside the database's container, on a copy of its data, for as long as something is read from it. Nobody
 * else finds it: it listens in a folder of its own. What it runs by itself, such as jobs, may not write.
 */
export async function serverOnCopy<T>(
  server: PostgresServer,
  runtime: Runtime,
  {
    folder,
    database,
    signal,
  }: { readonly folder: string; readonly database: string; readonly signal?: AbortSignal | undefined },
  work: (client: PostgresClient) => Promise<T>,
): Promise<T> {
  const host = '/run/holdfast-copy';
  const bin = await server.bin();
  const end = new AbortController();
  const running = runtime.run(
    {
      ...{ inside: 'postgres', file: 'sh', user: 'root', label: 'the server on a copy' },
      args: ['-c', starter, 'sh', `${bin}/postgres`, `${folder}${cluster.slice(home.length)}`, host],
    },
    { signal: signal === undefined ? end.signal : AbortSignal.any([signal, end.signal]) },
  );
  let failure: Error | undefined;
  running.catch((error: unknown) => (failure = new Error(messageOf(error), { cause: error })));
  try {
    const admin = await server.admin();
    const client = new PostgresClient(runtime, bin, { ...admin, host, port, database });
    // The copy has the password of its day.
    const letIn = async () =>
      await runtime.run({
        ...{ inside: 'postgres', user: 'postgres', label: 'psql', timeoutMs: 60_000 },
        ...{ file: `${bin}/psql`, args: ['-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', '-'] },
        env: { PGHOST: host, PGPORT: String(port), PGDATABASE: 'postgres', PGCONNECT_TIMEOUT: '10' },
        input: `set default_transaction_read_only = off;
          alter role ${quoteIdentifier(admin.user)} login password ${quoteLiteral(admin.password)};`,
      });
    const answers = async () =>
      await letIn()
        .then(async () => await client.query('select 1;'))
        .then(
          () => true,
          () => (signal?.aborted === true || failure ? false : undefined),
        );
    if ((await waitFor(answers, { timeoutMs: 60_000, everyMs: 100 })) !== true) {
      signal?.throwIfAborted();
      throw failure ?? new Error('the server on a copy of the database does not answer');
    }
    return await work(client);
  } finally {
    end.abort(new Error('done'));
    await running.catch(() => undefined);
  }
}

/** $1 program, $2 data, $3 folder of its socket. */
const starter = `set -eu
rm -rf "$3"
install -d -o postgres -g postgres -m 0755 "$3"
printf '%s\\n' 'local all postgres peer' 'local all all scram-sha-256' >"$3/pg_hba.conf"
rm -f "$2/postmaster.pid"
exec runuser -u postgres -- "$1" -D "$2" -c listen_addresses= -c port=${port} -c "unix_socket_directories=$3" \\
  -c unix_socket_permissions=0777 -c "hba_file=$3/pg_hba.conf" -c default_transaction_read_only=on -c archive_mode=off -c fsync=off`;
