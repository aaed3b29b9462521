import { spawn } from 'node:child_process';
import { existsSync, globSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readCredentials } from '../../orchestrator/database/cluster.ts';
import { formatConnection } from '../../orchestrator/database/connection.ts';
import { freePort } from '../../orchestrator/lib/ports.ts';
import { needs } from '../support/needs.ts';
import { ReferenceAppliance } from '../support/reference-appliance.ts';
import { atTerminal } from '../support/terminal.ts';
import { isThorough } from '../support/thoroughness.ts';

/*
 * The npm scripts of the reference appliance's backend, run by npm itself on an appliance that is set up: each does what
 * its name says, takes what stands behind `--`, and ends with the exit code of what it calls. One installation serves all.
 */

let appliance: ReferenceAppliance;
let databaseUrl: string;
const model = '\nmodel Note {\n  id   Int    @id\n  text String\n}\n';

beforeAll(async () => {
  appliance = await ReferenceAppliance.install();
  const { port, appPassword, database } = readCredentials(join(appliance.directory, '.holdfast/postgres'));
  databaseUrl = formatConnection({
    ...{ host: '127.0.0.1', port, user: 'app', password: appPassword, database, parameters: {} },
  });
});

afterAll(async () => {
  await appliance?.destroy();
});

const schemaFile = () => join(appliance.backend, 'prisma/schema.prisma');
const migrations = () => globSync('prisma/migrations/*/migration.sql', { cwd: appliance.backend }).toSorted();
const clean = async () => {
  await execa('git', ['checkout', '--quiet', '--', '.'], { cwd: appliance.directory });
  await execa('git', ['clean', '-fdq', '--', 'backend/prisma/migrations'], { cwd: appliance.directory });
};
/** How a script that says one JSON object a line ended. */
const ends = async (script: string, ...args: string[]): Promise<Record<string, unknown>> => {
  const { exitCode, all } = await appliance.npm(script, ['--json', ...args]);
  const last = all.split('\n').findLast((line) => line.startsWith('{'));
  return { code: exitCode, ...(JSON.parse(last ?? '{}') as Record<string, unknown>) };
};
const api = async (path: string, body?: object): Promise<unknown> => {
  const answer = await fetch(`http://127.0.0.1:${appliance.port}/api/${path}`, {
    ...(body && {
      method: 'POST',
      body: JSON.stringify(body),
      headers: { 'content-type': 'application/json' },
    }),
  });
  if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
  return await answer.json();
};

test('db:migrate:status, :show, db:stats and db:inspect look, and pass on what is behind -- and the exit code', async () => {
  expect(await ends('db:migrate:status')).toMatchObject({ code: 0, ok: true });
  const shown = await appliance.npm('db:migrate:show', ['20260112090000_create_departments_and_machines']);
  expect(shown).toMatchObject({ exitCode: 0, all: expect.stringContaining('CREATE TABLE "departments"') });
  expect(await ends('db:stats')).toMatchObject({
    code: 0,
    tables: expect.arrayContaining([expect.objectContaining({ name: 'machines' })]),
  });
  const inspected = await appliance.npm('db:inspect', ['machines']);
  expect(inspected).toMatchObject({
    exitCode: 0,
    all: expect.stringMatching(/^ {2}serial +text +not null/m),
  });
  expect(await ends('db:inspect', 'nix')).toMatchObject({ code: 3, exitCode: 3 });
  expect(await appliance.npm('db:migrate:status', ['--nix'])).toMatchObject({ exitCode: 2 });
  expect(await appliance.npm('db:inspect')).toMatchObject({ exitCode: 2 });
});

describe('a schema that is worked on', () => {
  test('db:format writes it as Prisma does; db:generate makes its client', async () => {
    // Neither uses an engine, but both would look for one to download.
    const env = { PRISMA_SCHEMA_ENGINE_BINARY: '/bin/true' };
    const text = readFileSync(schemaFile(), 'utf8');
    writeFileSync(schemaFile(), text.replace('  name      String    @unique', '  name String @unique'));
    expect(await appliance.npm('db:format', [], env)).toMatchObject({ exitCode: 0 });
    expect(readFileSync(schemaFile(), 'utf8')).toBe(text);
    writeFileSync(schemaFile(), `${text}${model}`);
    expect(await appliance.npm('db:generate', [], env)).toMatchObject({ exitCode: 0 });
    expect(existsSync(join(appliance.backend, 'src/generated/models/Note.ts'))).toBe(true);
    writeFileSync(schemaFile(), 'nonsense');
    expect(await appliance.npm('db:generate', [], env)).toMatchObject({ exitCode: 1 });
    expect(await appliance.npm('db:format', [], env)).toMatchObject({ exitCode: 1 });
    await clean();
    expect(await appliance.npm('db:generate', [], env)).toMatchObject({ exitCode: 0 });
  });

  test('db:migrate:generate, :create, :dev: a dry run, a file alone, and one that is applied', async () => {
    const before = migrations();
    writeFileSync(schemaFile(), `${readFileSync(schemaFile(), 'utf8')}${model}`);
    const dry = await appliance.npm('db:migrate:generate', ['notes', '--dry-run']);
    expect(dry).toMatchObject({ exitCode: 0, all: expect.stringContaining('CREATE TABLE "Note"') });
    expect(migrations()).toEqual(before);
    expect(await appliance.npm('db:migrate:generate')).toMatchObject({ exitCode: 2 });

    expect(await ends('db:migrate:create', 'notes')).toMatchObject({
      code: 0,
      migrations: [expect.stringMatching(/^\d{14}_notes$/)],
    });
    expect(migrations()).toHaveLength(before.length + 1);
    expect(await ends('db:migrate:status')).toMatchObject({ code: 3, ok: false });
    expect((await appliance.npm('db:inspect', ['Note'])).exitCode).toBe(3);
    expect(await ends('db:migrate:dev', 'notes')).toMatchObject({ code: 0 });
    expect(await appliance.npm('db:inspect', ['Note'])).toMatchObject({ exitCode: 0 });
    expect(await ends('db:migrate:status')).toMatchObject({ code: 0 });

    // Back again by its own down.sql, forth by a deploy: both are runs, and want a clean checkout.
    const name =
      migrations()
        .find((path) => path.includes('_notes'))
        ?.split('/')
        .at(-2) ?? '';
    await execa('git', ['checkout', '--quiet', '--', '.'], { cwd: appliance.directory });
    writeFileSync(join(appliance.backend, 'prisma/migrations', name, 'down.sql'), 'DROP TABLE "Note";\n');
    expect(await ends('db:migrate:revert', '--to', 'nix', '--yes')).toMatchObject({ code: 3 });
    expect(await ends('db:migrate:revert')).toMatchObject({ code: 2 });
    expect(await ends('db:migrate:revert', '--yes')).toMatchObject({ code: 0, migrations: [name] });
    expect(await ends('db:migrate:deploy', '--to', 'nix')).toMatchObject({ code: 3 });
    expect(await ends('db:migrate:deploy', '--to', name)).toMatchObject({ code: 0, migrations: [name] });
    expect(await ends('db:migrate:revert', '--yes')).toMatchObject({ code: 0 });
    await clean();
    expect((await appliance.run('start')).exitCode).toBe(0);
  });
});

test('db:studio serves at the port behind --, until Ctrl-C', async () => {
  const port = await freePort();
  const studio = spawn('npm', ['run', '--silent', 'db:studio', '--', '--port', String(port)], {
    ...{ cwd: appliance.backend, detached: true, stdio: ['ignore', 'pipe', 'pipe'] },
  });
  const closed = new Promise((resolve) => studio.once('close', resolve));
  const there = async () => (await fetch(`http://127.0.0.1:${port}/`).catch(() => undefined))?.status;
  await expect.poll(there, { timeout: 60_000, interval: 200 }).toBe(200);
  // A terminal sends it to everybody in front.
  process.kill(-(studio.pid ?? 0), 'SIGINT');
  await closed;
  expect(await there()).toBeUndefined();
});

test.runIf(isThorough)(
  'db:snapshot and db:restore-snapshot: a name behind --, what came later is gone; without consent nothing',
  async () => {
    await api('departments', { name: 'Workshop' });
    expect(await ends('db:snapshot', '--name', 'one')).toMatchObject({ code: 0, name: 'one' });
    expect(await ends('db:snapshot', '--name', 'one')).toMatchObject({ code: 3 });
    await api('departments', { name: 'Later' });
    expect(await appliance.npm('db:restore-snapshot', ['one'])).toMatchObject({
      exitCode: 2,
      all: expect.stringContaining('cannot ask for your consent'),
    });
    expect(await ends('db:restore-snapshot', 'nix', '--yes')).toMatchObject({ code: 3 });
    expect(JSON.stringify(await api('departments'))).toContain('Later');
    expect(await ends('db:restore-snapshot', 'one', '--yes')).toMatchObject({
      code: 0,
      outcome: 'rolled-back',
    });
    const departments = JSON.stringify(await api('departments'));
    expect(departments).toContain('Workshop');
    expect(departments).not.toContain('Later');
  },
);

test('migration:status, :list, :dry-run, :run, :run:one and db:migrate:data are the data migrations', async () => {
  const env = { DATABASE_URL: databaseUrl };
  const files = ['002_adds', '003_adds', '004_adds'].map((id) =>
    join(appliance.backend, 'prisma/data-migrations', `${id}.sql`),
  );
  for (const [index, file] of files.entries())
    writeFileSync(file, `insert into departments (name) values ('Added ${index + 2}');\n`);
  const added = async () => JSON.stringify(await api('departments')).match(/Added \d/g) ?? [];

  const status = await appliance.npm('migration:status', [], env);
  expect(status.all).toMatch(/002_adds.*pending|pending.*002_adds/s);
  const list = await appliance.npm('migration:list', [], env);
  expect(list).toMatchObject({ exitCode: 0, all: expect.stringContaining('Turns the free-text department') });
  expect(status.all).not.toContain('Turns the free-text department');
  expect(await appliance.npm('migration:status', ['--nix'], env)).toMatchObject({ exitCode: 2 });
  expect(await appliance.npm('migration:dry-run', [], env)).toMatchObject({ exitCode: 0 });
  expect(await added()).toEqual([]);
  expect(await appliance.npm('migration:run:one', ['999'], env)).toMatchObject({ exitCode: 2 });
  expect(await appliance.npm('migration:run:one', ['002'], env)).toMatchObject({ exitCode: 0 });
  expect(await added()).toEqual(['Added 2']);
  expect(await appliance.npm('db:migrate:data', ['--only', '003'], env)).toMatchObject({ exitCode: 0 });
  expect(await added()).toEqual(['Added 2', 'Added 3']);
  expect(await appliance.npm('migration:run', [], env)).toMatchObject({ exitCode: 0 });
  expect(await added()).toEqual(['Added 2', 'Added 3', 'Added 4']);

  const fails = join(appliance.backend, 'prisma/data-migrations/005_fails.sql');
  writeFileSync(fails, 'select 1 / 0;\n');
  expect(await appliance.npm('migration:run', [], env)).toMatchObject({
    exitCode: 1,
    all: expect.stringContaining('division by zero'),
  });
  for (const file of [...files, fails]) rmSync(file);
});

test('db:seed, and db:migrate:reset at a terminal: the name of the appliance, or nothing happens', async (context) => {
  needs(context, 'script');
  await clean();
  const count = async () =>
    ((await ends('db:stats'))['tables'] as { name: string; rows: number }[]).find(
      ({ name }) => name === 'departments',
    )?.rows ?? 0;
  const before = await count();
  expect(await appliance.npm('db:seed')).toMatchObject({ exitCode: 0 });
  expect(await count()).toBeGreaterThan(before + 1);
  await api('departments', { name: 'Goes' });
  const rows = await count();
  const reset = async (answer: string) =>
    await atTerminal(
      { words: ['npm', 'run', '--silent', 'db:migrate:reset'], cwd: appliance.backend },
      /Every row of the database goes\. Type inventory to go on: /,
      answer,
    );
  expect(await reset('yes')).toMatchObject({
    ...{ exitCode: 3, isAnswered: true },
    said: expect.stringContaining('the answer was another one. Nothing was changed'),
  });
  expect(await count()).toBe(rows);
  expect(await appliance.npm('db:migrate:reset')).toMatchObject({ exitCode: 3 });
  expect(await reset('inventory')).toMatchObject({ exitCode: 0, isAnswered: true });
  expect(JSON.stringify(await api('departments'))).not.toContain('Goes');
  expect(await count()).toBeGreaterThan(0);
});
