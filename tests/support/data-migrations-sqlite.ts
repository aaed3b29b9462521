import { spawn, type ChildProcess } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync, type SQLOutputValue } from 'node:sqlite';
import { execa } from 'execa';
import { ensurePrismaCli } from '../fixtures/schema-engine/prisma-project.ts';
import { ended, type EngineEnd, startEngine } from './data-migrations.ts';
import { roomyFolder } from './roomy-folder.ts';

const backend = join(import.meta.dirname, '..', '..', 'backend');
const fixture = join(import.meta.dirname, '..', 'fixtures', 'data-migrations-sqlite');

/** As Prisma's own migration for the schema makes it. */
const TABLES = `CREATE TABLE users (
  id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, name TEXT, n INTEGER NOT NULL DEFAULT 0, big BIGINT, born DATETIME,
  active BOOLEAN NOT NULL DEFAULT false, meta JSONB, price DECIMAL, data BLOB
)`;

/** A backend on a SQLite file, with the engine and migrations of a test's own; there is a space in its path. */
export class SqliteMigrations {
  readonly root = mkdtempSync(join(roomyFolder(), 'data migrations-'));
  readonly backend = join(this.root, 'the backend');
  readonly folder = join(this.backend, 'prisma/data-migrations');
  readonly file = join(this.root, 'inventory.db');

  static async start(): Promise<SqliteMigrations> {
    await ensurePrismaCli();
    const one = new SqliteMigrations();
    for (const part of ['package.json', 'tsconfig.json', 'src'])
      cpSync(join(backend, part), join(one.backend, part), {
        recursive: true,
        filter: (name) => !name.startsWith(join(backend, 'src/generated')),
      });
    cpSync(join(fixture, 'serve.ts'), join(one.backend, 'src/serve.ts'));
    mkdirSync(join(one.backend, 'prisma'));
    cpSync(join(fixture, 'schema.prisma'), join(one.backend, 'prisma/schema.prisma'));
    symlinkSync(join(backend, 'node_modules'), join(one.backend, 'node_modules'));
    await execa(process.execPath, [join(backend, 'node_modules/prisma/build/index.js'), 'generate'], {
      cwd: one.backend,
      env: { PRISMA_SCHEMA_ENGINE_BINARY: '/bin/true', PRISMA_HIDE_UPDATE_MESSAGE: '1' },
    });
    one.reset();
    return one;
  }

  /** No migration, no registry, and a new file with the application's tables. */
  reset(): void {
    rmSync(this.folder, { recursive: true, force: true });
    mkdirSync(this.folder);
    for (const name of ['run.sh', 'template.ts'])
      cpSync(join(backend, 'prisma/data-migrations', name), join(this.folder, name));
    for (const name of this.beside()) rmSync(join(this.root, name), { recursive: true });
    writeFileSync(this.file, '');
    this.sql('PRAGMA journal_mode = wal');
    this.sql(TABLES);
  }

  get url(): string {
    return `file:${this.file}`;
  }

  /** The database, and what lies beside it. */
  beside(): string[] {
    return readdirSync(this.root).filter((name) => name.startsWith('inventory.db'));
  }

  open(): DatabaseSync {
    return new DatabaseSync(this.file, { timeout: 10_000 });
  }

  sql(text: string): Record<string, SQLOutputValue>[] {
    const database = this.open();
    try {
      return database.prepare(text).all();
    } finally {
      database.close();
    }
  }

  /** Adds as many users. */
  fill(rows: number): void {
    this.sql(
      `WITH RECURSIVE s (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM s WHERE i < ${rows})
       INSERT INTO users (name) SELECT 'user ' || i FROM s`,
    );
  }

  /** How many users there are for each value of n. */
  tallied(): Record<string, unknown> {
    const rows = this.sql('SELECT n, count(*) AS "rows" FROM users GROUP BY n ORDER BY n');
    return Object.fromEntries(rows.map(({ n, rows: count }) => [n, count]));
  }

  /** The table's rows as `id STATE`. */
  states(): string[] {
    const rows = this.sql('SELECT id, state FROM holdfast_data_migrations ORDER BY id');
    return rows.map(({ id, state }) => `${String(id)} ${String(state)}`);
  }

  /** The registry's lines as `id status`; undefined where there is no file. */
  registry(): string[] | undefined {
    const file = join(this.folder, 'registry.json');
    if (!existsSync(file)) return undefined;
    const { migrations } = JSON.parse(readFileSync(file, 'utf8')) as {
      migrations: { id: string; status: string }[];
    };
    return migrations.map(({ id, status }) => `${id} ${status}`);
  }

  write(name: string, text: string): void {
    writeFileSync(join(this.folder, name), text);
  }

  /** A migration in the documented form. */
  migration(id: string, body: string): void {
    this.write(
      `${id}.ts`,
      `export const migration = {\n  id: '${id}',\n  description: 'A test.',\n${body}\n};\n`,
    );
  }

  start(args: readonly string[], env: Readonly<Record<string, string>> = {}): ChildProcess {
    return startEngine(this, args, env);
  }

  async run(...args: string[]): Promise<EngineEnd> {
    return await this.runWith({}, ...args);
  }

  async runWith(env: Readonly<Record<string, string>>, ...args: string[]): Promise<EngineEnd> {
    return await ended(this.start(args, env));
  }

  /** Starts its server. @returns its process, and where it listens */
  async serve(key: string): Promise<{ child: ChildProcess; url: string }> {
    const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', 'src/serve.ts'], {
      cwd: this.backend,
      env: { ...process.env, DATABASE_URL: this.url, DEVELOPER_KEY: key },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const url = await new Promise<string>((resolve, reject) => {
      child.stdout?.once('data', (chunk: Buffer) => resolve(chunk.toString().trim()));
      child.once('close', () => reject(new Error('the server ended')));
    });
    return { child, url };
  }

  stop(): void {
    rmSync(this.root, { recursive: true, force: true });
  }
}
