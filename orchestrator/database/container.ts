import { randomBytes } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { writeFileAtomic } from '../lib/atomic-file.ts';
import { messageOf, Refusal } from '../lib/errors.ts';
import type { Secrets } from '../lib/secrets.ts';
import { waitFor } from '../lib/wait.ts';
import { lastLines, type Command, type Runtime } from '../runtime/runtime.ts';
import { PostgresClient } from './client.ts';
import { reloadAccess } from './cluster-access.ts';
import { administrator, type Access } from './cluster.ts';
import { isSwapOpen, readContents } from './cluster-contents.ts';
import { formatConnection, quoteIdentifier, quoteLiteral, type Connection } from './connection.ts';
import type { DatabaseGlance } from './engine.ts';
import type { PostgresServer } from './server.ts';
import { sharedSocketFolder } from './socket-folder.ts';
import { endSessionsOverTcp } from './sessions.ts';

/** Where the volume lies in the container, and the cluster on it. */
const home = '/var/lib/postgresql';
const cluster = `${home}/holdfast`;
const unit = 'holdfast-postgres.service';
const port = 5432;

interface Credentials {
  readonly port: number;
  readonly adminPassword: string;
  readonly appPassword: string;
  readonly database: string;
}

/**
 * The PostgreSQL of an appliance in containers, on a volume of its own. Its programs are those of its container. Services
 * reach it by its address, the run itself by a socket in a folder that the containers share, which the fence leaves open.
 */
export class ContainerServer implements PostgresServer {
  readonly isOurs = true;
  readonly fenceBy = 'server';
  readonly #runtime: Runtime;
  readonly #folder: string;
  readonly #configured: string;
  readonly #secrets: Secrets;

  /** @param options.folder where its credentials lie on this machine, and its socket, as the containers see it too */
  constructor(options: { runtime: Runtime; folder: string; database: string; secrets: Secrets }) {
    this.#runtime = options.runtime;
    this.#folder = options.folder;
    this.#configured = options.database;
    this.#secrets = options.secrets;
  }

  async bin(): Promise<string> {
    const { stdout } = await this.#runtime.run(
      inside('sh', ['-c', 'ls -d /usr/lib/postgresql/*/bin | sort -V | tail -n 1'], {
        label: 'look for PostgreSQL',
      }),
    );
    const bin = stdout.trim();
    if (bin === '')
      throw new Refusal('there is no PostgreSQL in its container', './run.sh redo postgres makes it anew');
    return bin;
  }

  async ensureRunning(): Promise<void> {
    const socket = join(this.#folder, 'socket');
    mkdirSync(socket, { recursive: true });
    // Whatever number the server's user has inside: the folder above lets in nobody but us.
    chmodSync(socket, 0o1777);
    await this.#runtime.prepare();
    const credentials = this.#ensureCredentials();
    await this.#runtime.run(
      inside('sh', ['-c', starter, 'sh', await this.bin(), cluster, unit, accessText('open')], {
        label: 'start of PostgreSQL',
        input: unitText(await this.bin(), this.#socket),
        timeoutMs: 180_000,
      }),
    );
    await this.#untilItAnswers();
    await this.#asSuperuser(
      `do $$ begin
         if not exists (select from pg_roles where rolname = ${quoteLiteral(administrator)}) then create role ${administrator} superuser login; end if;
         if not exists (select from pg_roles where rolname = 'app') then create role app login; end if;
       end $$;
       alter role ${administrator} superuser login password ${quoteLiteral(credentials.adminPassword)};
       alter role app login password ${quoteLiteral(credentials.appPassword)};`,
    );
    const client = await this.#client();
    const there = await readContents(client, credentials.database);
    if (!there.database && !(await isSwapOpen(client)))
      await client.execute(`create database ${quoteIdentifier(credentials.database)} owner app;`);
  }

  async glance(): Promise<DatabaseGlance> {
    const { exitCode } = await this.#runtime
      .run(inside('systemctl', ['is-active', '--quiet', unit]), { allowFailure: true })
      .catch(() => ({ exitCode: 1 }));
    return {
      kind: 'embedded',
      ok: exitCode === 0,
      text: exitCode === 0 ? 'running (in its container)' : 'stopped',
    };
  }

  async stop(): Promise<void> {
    await this.#runtime.run(
      inside('systemctl', ['stop', unit], { label: 'stop of PostgreSQL', timeoutMs: 120_000 }),
    );
  }

  async service(): Promise<Connection> {
    const { appPassword, database } = this.#ensureCredentials();
    const host = await this.#runtime.addressOf('postgres');
    return { host, port, user: 'app', password: appPassword, database, parameters: {} };
  }

  async window(): Promise<Connection> {
    const { appPassword, database } = this.#ensureCredentials();
    const host = this.#socket;
    return await Promise.resolve({
      host,
      port,
      user: 'app',
      password: appPassword,
      database,
      parameters: {},
    });
  }

  async variables(side: 'service' | 'window', database: string | undefined): Promise<Record<string, string>> {
    const connection = side === 'service' ? await this.service() : await this.window();
    return {
      DATABASE_URL: formatConnection(database === undefined ? connection : { ...connection, database }),
    };
  }

  async admin(): Promise<Connection> {
    return {
      ...(await this.window()),
      user: administrator,
      password: this.#ensureCredentials().adminPassword,
    };
  }

  async fence(): Promise<void> {
    await this.#access('fenced');
  }

  async unfence(): Promise<void> {
    await this.#access('open');
  }

  async seclude(): Promise<void> {
    await this.#access('secluded');
  }

  get #socket(): string {
    return sharedSocketFolder(join(this.#folder, 'socket'));
  }

  async #access(access: Access): Promise<void> {
    await this.#runtime.run(
      inside('sh', ['-c', 'umask 077; cat >"$1.new" && mv "$1.new" "$1"', 'sh', `${cluster}/pg_hba.conf`], {
        user: 'postgres',
        input: accessText(access),
        label: 'access file',
      }),
    );
    if (!(await this.glance()).ok) return;
    const client = await this.#client();
    const [outside, insider] = [await this.#as(await this.service()), await this.#as(await this.window())];
    const { isTaken, isPasswordWrong } = await reloadAccess(access, { client, outside, inside: insider });
    if (isPasswordWrong)
      await client.execute(
        `alter role app login password ${quoteLiteral(this.#ensureCredentials().appPassword)};`,
      );
    if (!isTaken) throw new Error(`the database server did not take its new access file (${access})`);
    if (access === 'open') return;
    await this.#runtime.run(
      inside('sh', ['-c', endNewcomers, 'sh', cluster], { label: 'newcomers', timeoutMs: 30_000 }),
    );
    if (access === 'fenced') await endSessionsOverTcp(client);
  }

  async #untilItAnswers(): Promise<void> {
    let last: unknown;
    const done = await waitFor(
      async () =>
        await this.#asSuperuser('select 1;').then(
          () => true,
          (error: unknown) => {
            last = error;
            return undefined;
          },
        ),
      { timeoutMs: 60_000, everyMs: 100 },
    );
    if (!done)
      throw new Refusal(
        `the database server does not answer: ${lastLines(messageOf(last), 5)}`,
        './run.sh logs postgres',
        last,
      );
  }

  /** As the user that the server runs as, whom it knows by the socket: this works whatever became of our passwords. */
  async #asSuperuser(sql: string): Promise<void> {
    await this.#runtime.run(
      inside(join(await this.bin(), 'psql'), ['-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', '-'], {
        user: 'postgres',
        input: sql,
        env: { PGHOST: this.#socket, PGDATABASE: 'postgres', PGCONNECT_TIMEOUT: '10' },
        label: 'psql',
        timeoutMs: 60_000,
      }),
    );
  }

  async #as(connection: Connection): Promise<PostgresClient> {
    return new PostgresClient(this.#runtime, await this.bin(), connection);
  }

  async #client(): Promise<PostgresClient> {
    return await this.#as({ ...(await this.admin()), database: 'postgres' });
  }

  #ensureCredentials(): Credentials {
    const path = join(this.#folder, 'credentials.json');
    if (!existsSync(path))
      writeFileAtomic(
        path,
        `${JSON.stringify({
          port,
          adminPassword: randomBytes(24).toString('base64url'),
          appPassword: randomBytes(24).toString('base64url'),
          database: this.#configured,
        } satisfies Credentials)}\n`,
      );
    const credentials = JSON.parse(readFileSync(path, 'utf8')) as Credentials;
    this.#secrets.add(credentials.adminPassword);
    this.#secrets.add(credentials.appPassword);
    return credentials;
  }
}

function inside(file: string, args: readonly string[], more: Partial<Command> = {}): Command {
  return { inside: 'postgres', file, args, timeoutMs: 60_000, ...more };
}

/** Makes the cluster where there is none, and has the server run: $1 programs, $2 cluster, $3 unit, $4 access file. */
const starter = `set -eu
install -d -o postgres -g postgres -m 0700 ${home}
rm -rf "$2.new"
if [ ! -e "$2/PG_VERSION" ]; then
  runuser -u postgres -- "$1/initdb" --pgdata="$2.new" --auth=scram-sha-256 --auth-local=peer --encoding=UTF8 --locale=C.UTF-8 --no-instructions >/dev/null
  printf '%s' "$4" >"$2.new/pg_hba.conf"
  mv "$2.new" "$2"
fi
cat >"/etc/systemd/system/$3.new"
if ! cmp -s "/etc/systemd/system/$3.new" "/etc/systemd/system/$3"; then
  mv "/etc/systemd/system/$3.new" "/etc/systemd/system/$3"
  systemctl daemon-reload
fi
systemctl enable --quiet "$3"
systemctl start "$3"`;

const unitText = (bin: string, socketFolder: string) => `[Unit]
Description=Holdfast: PostgreSQL
[Service]
User=postgres
ExecStart=${bin}/postgres -D ${cluster} -c listen_addresses=* -c port=${port} -c "unix_socket_directories=${socketFolder.replaceAll('%', '%%')}" -c unix_socket_permissions=0777 -c log_timezone=UTC
KillMode=mixed
KillSignal=SIGINT
TimeoutStopSec=60
Restart=on-failure
[Install]
WantedBy=multi-user.target
`;

function accessText(access: Access): string {
  const rule = access === 'open' ? 'scram-sha-256' : 'reject';
  return `${[
    '# Written by Holdfast; changes are lost.',
    'local all postgres peer',
    `local all ${administrator} scram-sha-256`,
    `local all all ${access === 'secluded' ? 'reject' : 'scram-sha-256'}`,
    `host all all all ${rule}`,
  ].join('\n')}\n`;
}

/** As endNewcomers in newcomers.ts: those who stand in the door. $1 cluster. */
const endNewcomers = `set -eu
read -r postmaster <"$1/postmaster.pid"
door='^(/.*/postgres |postgres: .*([)]|[[]local[]]) (initializing|authentication|startup)$)'
end=$(($(date +%s) + 10))
pkill -TERM -P "$postmaster" -f "$door" || exit 0
while pgrep -P "$postmaster" -f "$door" >/dev/null; do
  [ "$(date +%s)" -lt "$end" ] || { echo 'a connection that was just being made does not end' >&2; exit 1; }
  sleep 0.02
done`;
