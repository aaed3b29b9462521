import { existsSync, readFileSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import { messageOf, Refusal } from '../lib/errors.ts';
import type { Secrets } from '../lib/secrets.ts';
import { waitFor } from '../lib/wait.ts';
import { lastLines, type Runtime } from '../runtime/runtime.ts';
import { ensurePostgresInstalled, findServerBinaries } from './binaries.ts';
import { PostgresClient } from './client.ts';
import { reloadAccess } from './cluster-access.ts';
import { isSwapOpen, readContents, type Contents } from './cluster-contents.ts';
import { startCluster } from './cluster-start.ts';
import {
  administrator,
  initialiseCluster,
  isInitialised,
  readCredentials,
  readPostmasterPid,
  writeAccessFile,
  type Access,
  type Credentials,
} from './cluster.ts';
import { formatConnection, quoteIdentifier, quoteLiteral, type Connection } from './connection.ts';
import type { DatabaseGlance } from './engine.ts';
import type { PostgresServer } from './server.ts';
import { endSessionsOverTcp } from './sessions.ts';
import { endNewcomers } from './newcomers.ts';
import { reachableSocketFolder, removeSocketLink } from './socket-folder.ts';

const stopPolicy = { signal: 'SIGINT', timeoutMs: 60_000, kill: 'process' } as const;

/**
 * A PostgreSQL cluster of our own under the state directory. It listens on loopback and on a socket in a folder that
 * only we can enter, survives between commands, and runs as an unprivileged user even for root: that user cannot walk
 * to it through a closed folder such as /root, so it is handed the folder open (`directoryDescriptor`).
 */
export class EmbeddedServer implements PostgresServer {
  readonly isOurs = true;
  readonly fenceBy = 'server';
  readonly #folder: string;
  readonly #runtime: Runtime;
  readonly #configured: string;
  readonly #secrets: Secrets;
  readonly #say: (line: string) => void;

  constructor(options: {
    folder: string;
    runtime: Runtime;
    database: string;
    secrets: Secrets;
    say: (line: string) => void;
  }) {
    this.#folder = options.folder;
    this.#runtime = options.runtime;
    this.#configured = options.database;
    this.#secrets = options.secrets;
    this.#say = options.say;
  }

  /** As it was named when the cluster was made; what the configuration says counts only then. */
  get #database(): string {
    return isInitialised(this.#folder) ? readCredentials(this.#folder).database : this.#configured;
  }

  get #service() {
    const folder = join(this.#folder, 'cluster', 'data');
    // As the kernel knows it: a link in the path to it is not part of what processes say of themselves.
    const place = existsSync(folder) ? { program: 'postgres', folder: realpathSync(folder) } : undefined;
    return { name: 'postgres', stateFolder: this.#folder, ...(place && { place }) };
  }

  /** The version that the cluster was made by; undefined where there is none. */
  #major(): string | undefined {
    const path = join(this.#folder, 'cluster', 'data', 'PG_VERSION');
    return existsSync(path) ? readFileSync(path, 'utf8').trim() : undefined;
  }

  async bin(): Promise<string> {
    const major = this.#major();
    const found = findServerBinaries(major === undefined ? undefined : Number(major));
    if (!found)
      throw new Refusal(
        `cannot find the programs of PostgreSQL ${major ?? ''}`.trim(),
        'sudo apt-get install -y postgresql',
      );
    return await Promise.resolve(found);
  }

  /** Creates the cluster, the role and the database where they are missing, and starts the server. */
  async ensureRunning(): Promise<void> {
    await ensurePostgresInstalled(this.#runtime, this.#say);
    if (!isInitialised(this.#folder))
      await initialiseCluster(this.#runtime, await this.bin(), this.#folder, this.#configured);
    if (!(await this.#runtime.serviceState(this.#service)).running) await this.#start();
    await this.#ensureDatabase(await this.#untilItAnswers());
  }

  async glance(): Promise<DatabaseGlance> {
    if (!isInitialised(this.#folder))
      return await Promise.resolve({ kind: 'embedded', ok: false, text: 'not made yet' });
    const version = this.#major();
    const ok = (await this.#runtime.serviceState(this.#service)).running;
    const about = version === undefined ? 'PostgreSQL' : `PostgreSQL ${version}`;
    return {
      kind: 'embedded',
      ok,
      text: `${ok ? 'running' : 'stopped'} (embedded, ${about})`,
      ...(version === undefined ? {} : { version }),
    };
  }

  async stop(): Promise<void> {
    await this.#runtime.stopService(this.#service, stopPolicy);
    removeSocketLink(join(this.#folder, 'cluster', 'socket'));
  }

  async service(): Promise<Connection> {
    const { port, appPassword } = this.#credentials();
    return await Promise.resolve({
      host: '127.0.0.1',
      port,
      user: 'app',
      password: appPassword,
      database: this.#database,
      parameters: {},
    });
  }

  async window(): Promise<Connection> {
    return {
      ...(await this.service()),
      host: reachableSocketFolder(join(this.#folder, 'cluster', 'socket')),
    };
  }

  async variables(side: 'service' | 'window', database: string | undefined): Promise<Record<string, string>> {
    const connection = side === 'service' ? await this.service() : await this.window();
    return {
      DATABASE_URL: formatConnection(database === undefined ? connection : { ...connection, database }),
    };
  }

  async admin(): Promise<Connection> {
    return { ...(await this.window()), user: administrator, password: this.#credentials().adminPassword };
  }

  /** The server leaves TCP: new connections are rejected by its own access file, and those there are ended. */
  async fence(): Promise<void> {
    await this.#access('fenced');
  }

  async unfence(): Promise<void> {
    await this.#access('open');
  }

  /** Nobody but the administrator is let in any more, not even by the socket. */
  async seclude(): Promise<void> {
    await this.#access('secluded');
  }

  async #access(access: Access): Promise<void> {
    writeAccessFile(this.#folder, access);
    if (!(await this.#runtime.serviceState(this.#service)).running) return;
    const client = await this.#client();
    const [outside, inside] = [await this.#as(await this.service()), await this.#as(await this.window())];
    const { isTaken, isPasswordWrong } = await reloadAccess(access, { client, outside, inside });
    // Whose password a migration changed: no snapshot holds roles, and only we tell the services.
    if (isPasswordWrong) await client.execute(this.#givePassword('alter'));
    if (!isTaken) throw new Error(`the database server did not take its new access file (${access})`);
    if (access === 'open') return;
    await endNewcomers(readPostmasterPid(this.#folder));
    if (access === 'fenced') await endSessionsOverTcp(client);
  }

  async #as(connection: Connection): Promise<PostgresClient> {
    return new PostgresClient(this.#runtime, await this.bin(), connection);
  }

  #givePassword(verb: 'create' | 'alter'): string {
    return `${verb} role app login password ${quoteLiteral(this.#credentials().appPassword)};`;
  }

  async #start(): Promise<void> {
    await startCluster({
      runtime: this.#runtime,
      folder: this.#folder,
      bin: await this.bin(),
      port: this.#credentials().port,
      service: this.#service,
      stop: async () => {
        await this.stop();
      },
    });
  }

  /** A server that was just started, or that crashed and started itself again (a full disk), recovers first. */
  async #untilItAnswers(): Promise<Contents> {
    const client = await this.#client();
    const logFile = join(this.#folder, 'server.log');
    let last: unknown;
    const contents = await waitFor(
      async () => {
        if (!(await this.#runtime.serviceState(this.#service)).running) return false;
        try {
          return await readContents(client, this.#database);
        } catch (error) {
          last = error;
          return undefined;
        }
      },
      { timeoutMs: 60_000, everyMs: 30 },
    );
    if (!contents) {
      const log = existsSync(logFile) ? lastLines(readFileSync(logFile, 'utf8'), 5) : messageOf(last);
      throw new Refusal(`the database server does not answer: ${log}`, `look at ${logFile}`, last);
    }
    return contents;
  }

  async #ensureDatabase(there: Contents): Promise<void> {
    const client = await this.#client();
    if (!there.role) await client.execute(this.#givePassword('create'));
    // A database that is missing in the middle of a swap is no reason to make an empty one: recovery knows by OID.
    if (!there.database && !(await isSwapOpen(client))) {
      await client.execute(`create database ${quoteIdentifier(this.#database)} owner app;`);
    }
  }

  async #client(): Promise<PostgresClient> {
    return await this.#as({ ...(await this.admin()), database: 'postgres' });
  }

  #credentials(): Credentials {
    const credentials = readCredentials(this.#folder);
    this.#secrets.add(credentials.adminPassword);
    this.#secrets.add(credentials.appPassword);
    return credentials;
  }
}
