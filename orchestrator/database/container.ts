import { randomBytes } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { writeFileAtomic } from '../lib/atomic-file.ts';
import { Refusal } from '../lib/errors.ts';
import type { Secrets } from '../lib/secrets.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { PostgresClient } from './client.ts';
import { reloadAccess } from './cluster-access.ts';
import { administrator, type Access } from './cluster.ts';
import { accessText, cluster, endNewcomers, port, unit } from './container-cluster.ts';
import { inside, startCluster, untilItAnswers } from './container-start.ts';
import { isSwapOpen, readContents } from './cluster-contents.ts';
import { formatConnection, quoteIdentifier, quoteLiteral, type Connection } from './connection.ts';
import type { DatabaseGlance } from './engine.ts';
import type { PostgresServer } from './server.ts';
import { sharedSocketFolder } from './socket-folder.ts';
import { endSessionsOverTcp } from './sessions.ts';

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
  #bin: string | undefined;

  /** @param options.folder where its credentials lie on this machine, and its socket, as the containers see it too */
  constructor(options: { runtime: Runtime; folder: string; database: string; secrets: Secrets }) {
    this.#runtime = options.runtime;
    this.#folder = options.folder;
    this.#configured = options.database;
    this.#secrets = options.secrets;
  }

  async bin(): Promise<string> {
    // Asked for with each command, and as good as the image that the container was made of.
    return (this.#bin ??= await this.#findBin());
  }

  async #findBin(): Promise<string> {
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
    await this.#runtime.prepare('postgres');
    const { volumes } = this.#runtime;
    if (volumes && !(await volumes.isInPlace())) {
      await this.stop();
      await volumes.use(volumes.live(), '');
    }
    const isNew = !existsSync(this.#credentialsFile);
    await startCluster(this.#runtime, { bin: await this.bin(), socket: this.#socket, isNew });
    await untilItAnswers(this.#runtime, async () => await this.#asSuperuser('select 1;'));
    const credentials = this.#ensureCredentials();
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
    const answer = await this.#runtime
      .run(inside('systemctl', ['is-active', '--quiet', unit]), { allowFailure: true })
      .catch(() => undefined);
    if (!answer) return { kind: 'embedded', ok: false, text: 'not known: its container does not answer' };
    const { exitCode } = answer;
    return {
      kind: 'embedded',
      ok: exitCode === 0,
      text: exitCode === 0 ? 'running (in its container)' : 'stopped',
    };
  }

  async stop(): Promise<void> {
    // A unit that nobody has made yet is as stopped as one can be.
    const script = 'if systemctl cat "$1" >/dev/null 2>&1; then systemctl stop "$1"; fi';
    await this.#runtime.run(
      inside('sh', ['-c', script, 'sh', unit], { label: 'stop of PostgreSQL', timeoutMs: 120_000 }),
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

  get #credentialsFile(): string {
    return join(this.#folder, 'credentials.json');
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
    const path = this.#credentialsFile;
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
