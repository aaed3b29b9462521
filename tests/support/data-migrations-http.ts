import { spawn, type ChildProcess } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { Client } from 'pg';
import { freePort, waitUntil, type PostgresServer } from '../fixtures/schema-engine/postgres-server.ts';
import { roomyFolder } from './roomy-folder.ts';

const source = join(import.meta.dirname, '..', '..', 'backend');

/** The reference backend, built, in a folder of its own whose path holds a space; and its running processes. */
export class BuiltBackend {
  readonly root = mkdtempSync(join(roomyFolder(), 'hold fast-'));
  readonly directory = join(this.root, 'the backend');
  readonly migrations = join(this.directory, 'prisma', 'data-migrations');
  readonly #running: RunningBackend[] = [];

  /** Copies and builds it; its packages are lent. */
  static async build(): Promise<BuiltBackend> {
    const backend = new BuiltBackend();
    const { directory } = backend;
    if (!existsSync(join(source, 'node_modules')))
      await execa('npm', ['ci', '--no-audit', '--no-fund'], { cwd: source });
    mkdirSync(directory);
    for (const name of [
      'src',
      'prisma',
      'package.json',
      'prisma.config.ts',
      'tsconfig.json',
      'tsconfig.build.json',
    ])
      cpSync(join(source, name), join(directory, name), { recursive: true });
    rmSync(join(backend.migrations, 'registry.json'), { force: true });
    symlinkSync(join(source, 'node_modules'), join(directory, 'node_modules'));
    const bin = (name: string) => join(source, 'node_modules', '.bin', name);
    // Generating reads the schema only: any program serves as the engine.
    const env = { PRISMA_SCHEMA_ENGINE_BINARY: '/bin/true', PRISMA_HIDE_UPDATE_MESSAGE: '1' };
    if (!existsSync(join(directory, 'src', 'generated')))
      await execa(bin('prisma'), ['generate'], { cwd: directory, env });
    await execa(bin('tsc'), ['--project', 'tsconfig.build.json'], { cwd: directory });
    return backend;
  }

  /** Gives the database the tables that the backend has, and nothing else. */
  async prepare(server: PostgresServer, database: string): Promise<void> {
    await server.recreate(database);
    const folder = join(this.directory, 'prisma', 'migrations');
    for (const name of (await readdir(folder)).toSorted())
      if (!name.endsWith('.toml'))
        await server.query(database, await readFile(join(folder, name, 'migration.sql'), 'utf8'));
    rmSync(join(this.migrations, 'registry.json'), { force: true });
  }

  /** Writes a data migration with the body of its `up(prisma, { log })`. */
  put(up: string, { id = '002_test', says = '' } = {}): void {
    const text = `export const migration = { id: '${says || id}', description: 'A test.', async up(prisma, { log }) { ${up} } };\n`;
    writeFileSync(join(this.migrations, `${id}.ts`), text);
  }

  /** Starts the built code; it may still be about to refuse. */
  async start(variables: Readonly<Record<string, string>>): Promise<RunningBackend> {
    const port = await freePort();
    const { PATH = '' } = process.env;
    const child = spawn(process.execPath, ['dist/main.js'], {
      cwd: this.directory,
      env: { PATH, PORT: String(port), LOG_LEVEL: 'trace', ...variables },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const running = new RunningBackend(child, `http://127.0.0.1:${port}`);
    this.#running.push(running);
    return running;
  }

  /** The command line beside the backend, without a database of its own. */
  async cli(url: string, args: readonly string[], variables: Readonly<Record<string, string>> = {}) {
    const { PATH = '' } = process.env;
    return await execa('bash', [join(this.migrations, 'run.sh'), '--backend-url', url, ...args], {
      env: { PATH, HOLDFAST_NODE: process.execPath, ...variables },
      extendEnv: false,
      reject: false,
    });
  }

  async stopAll(): Promise<void> {
    for (const running of this.#running.splice(0)) await running.stop();
  }

  async remove(): Promise<void> {
    await this.stopAll();
    rmSync(this.root, { recursive: true, force: true });
  }
}

/** A migration waits here until the test lets go. */
export const WAIT = 'await prisma.$executeRaw`SELECT pg_advisory_lock_shared(42)`;';

/** Lets migrations wait until `letGo`, or the end. */
export async function holdMigrations(url: string) {
  const client = new Client({ connectionString: url });
  await client.connect();
  await client.query('SELECT pg_advisory_lock(42)');
  return {
    letGo: async () => await client.query('SELECT pg_advisory_unlock_all()'),
    end: async () => await client.end(),
  };
}

/** A backend's process, with all that it says. */
export class RunningBackend {
  readonly child: ChildProcess;
  readonly url: string;
  readonly ended: Promise<number | null>;
  output = '';

  constructor(child: ChildProcess, url: string) {
    this.child = child;
    this.url = url;
    for (const stream of [child.stdout, child.stderr])
      stream?.on('data', (chunk: Buffer) => void (this.output += chunk.toString()));
    this.ended = new Promise((resolve) => child.once('close', resolve));
  }

  async untilItAnswers(): Promise<void> {
    await waitUntil(`the backend answers (${this.output})`, async () => {
      const answer = await fetch(`${this.url}/health`).catch(() => undefined);
      return answer?.status === 200;
    });
  }

  async untilItSays(text: string): Promise<void> {
    await waitUntil(`the backend says ${text}`, async () => this.output.includes(text));
  }

  async ask(
    method: string,
    route: string,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<Response> {
    return await fetch(`${this.url}/migration/${route}`, { method, headers });
  }

  async stop(): Promise<void> {
    this.child.kill('SIGTERM');
    await this.ended;
  }
}
