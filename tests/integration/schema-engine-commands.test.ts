import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { Harness } from '../fixtures/schema-engine/harness.ts';
import { freePort } from '../fixtures/schema-engine/postgres-server.ts';
import { bundleEngine } from '../fixtures/schema-engine/prisma-project.ts';

const deploy = ['migrate', 'deploy'];
let harness: Harness;

beforeAll(async () => {
  harness = await Harness.start();
}, 180_000);

afterAll(async () => {
  await harness?.stop();
}, 30_000);

beforeEach(async () => {
  await harness.server.recreate(harness.database);
});

describe('the other commands', { timeout: 60_000 }, () => {
  test('status and resolve', async () => {
    await harness.project.migrations({ '1_good': 'CREATE TABLE a (i int);', '2_bad': 'SELECT 1/0;' });
    const pending = await harness.project.run(harness.url, ['migrate', 'status']);
    expect(pending.exitCode).toBe(1);
    expect(pending.output).toContain('have not yet been applied');

    await harness.project.run(harness.url, deploy);
    const failed = await harness.project.run(harness.url, ['migrate', 'status']);
    expect(failed.exitCode).toBe(1);
    expect(failed.output).toContain('Following migration have failed:\n2_bad');

    expect(
      (await harness.project.run(harness.url, ['migrate', 'resolve', '--rolled-back', '2_bad'])).exitCode,
    ).toBe(0);
    expect(
      (await harness.project.run(harness.url, ['migrate', 'resolve', '--applied', '2_bad'])).exitCode,
    ).toBe(0);
    expect(await harness.history()).toEqual(['1_good applied', '2_bad rolled back', '2_bad applied']);
    const clean = await harness.project.run(harness.url, ['migrate', 'status']);
    expect(clean.output).toContain('Database schema is up to date!');
    expect(clean.exitCode).toBe(0);
  });

  test('diff: between files without a harness.database, against the harness.database, and through a shadow database', async () => {
    const nowhere = harness.server.url('none').replace(String(harness.server.port), String(await freePort()));
    const toSchema = ['--to-schema', 'prisma/schema.prisma'];
    const files = await harness.project.run(nowhere, [
      'migrate',
      'diff',
      '--from-empty',
      ...toSchema,
      '--script',
    ]);
    expect(files.output).toContain('CREATE TABLE "Item"');
    expect(files.exitCode).toBe(0);

    const fromDatabase = ['migrate', 'diff', '--from-config-datasource', ...toSchema, '--exit-code'];
    expect((await harness.project.run(harness.url, fromDatabase)).exitCode).toBe(2);

    // Foreign keys: their actions have PostgreSQL's type "char", which the official adapter refuses.
    await harness.project.schema(`
      model Item { \n id Int @id \n parts Part[] \n }
      model Part { \n id Int @id \n itemId Int \n item Item @relation(fields: [itemId], references: [id], onDelete: Cascade) \n }`);
    const script = await harness.project.run(harness.url, [
      'migrate',
      'diff',
      '--from-empty',
      ...toSchema,
      '--script',
      '-o',
      'init.sql',
    ]);
    expect(script.exitCode).toBe(0);
    await harness.project.migrations({
      '1_init': await readFile(join(harness.project.folder, 'init.sql'), 'utf8'),
    });
    await harness.project.run(harness.url, deploy);
    const same = await harness.project.run(harness.url, fromDatabase);
    expect(same.output).toContain('No difference detected.');
    expect(same.exitCode).toBe(0);

    const replayed = [
      'migrate',
      'diff',
      '--from-migrations',
      'prisma/migrations',
      ...toSchema,
      '--exit-code',
    ];
    expect((await harness.project.run(harness.url, replayed)).output).toContain('No difference detected.');
    const shadows = await harness.server.query(
      'postgres',
      "SELECT 1 FROM pg_database WHERE datname LIKE 'prisma_migrate%'",
    );
    expect(shadows).toEqual([]);
  });

  test('CHECK and EXCLUDE constraints, and the actions of foreign keys: all have the type "char"', async () => {
    await harness.project.schema(`
      model Item { \n id Int @id \n count Int \n parts Part[] \n }
      model Part { \n id Int @id \n itemId Int \n item Item @relation(fields: [itemId], references: [id], onDelete: Cascade) \n }`);
    const diff = ['migrate', 'diff', '--from-config-datasource', '--to-schema', 'prisma/schema.prisma'];
    const script = await harness.project.run(harness.url, [...diff, '--script', '-o', 'init.sql']);
    expect(script.exitCode).toBe(0);
    await harness.project.migrations({
      '1_init': await readFile(join(harness.project.folder, 'init.sql'), 'utf8'),
      '2_constraints': `ALTER TABLE "Item" ADD CONSTRAINT positive CHECK (count > 0);
        ALTER TABLE "Item" ADD CONSTRAINT apart EXCLUDE USING gist (int4range(id, count) WITH &&);`,
    });
    expect(await harness.project.run(harness.url, deploy)).toMatchObject({ exitCode: 0 });

    const none = await harness.project.run(harness.url, [...diff, '--exit-code']);
    expect(none.output).toContain('No difference detected');
    expect(none.exitCode).toBe(0);
    const pull = await harness.project.run(harness.url, ['db', 'pull', '--print']);
    expect(pull.output).toContain('onDelete: Cascade');
    expect(pull.output).toContain('check constraint');
    expect(pull.output).toContain('exclusion constraint');
  });

  test('dev: a migration that waits is applied, the next one is written and applied, through a shadow database', async () => {
    const { project, url } = harness;
    await harness.server.recreate(harness.database);
    await project.migrations({ '1_a': 'CREATE TABLE "A" (id int PRIMARY KEY);' });
    await project.schema('model A {\n  id Int @id\n}\nmodel B {\n  id Int @id\n}\n');
    const dev = await project.run(url, ['migrate', 'dev', '--name', 'b']);
    expect(dev.output).toContain('in sync');
    expect(dev.exitCode).toBe(0);
    expect(await harness.tables()).toEqual(['A', 'B', '_prisma_migrations']);
    expect(await harness.history()).toEqual(['1_a applied', expect.stringMatching(/_b applied$/)]);
    const shadows = "SELECT 1 FROM pg_database WHERE datname LIKE 'prisma_migrate%'";
    expect(await harness.server.query('postgres', shadows)).toEqual([]);
  });

  test('reset, push, pull, execute', async () => {
    await harness.project.schema('model Thing {\n  id Int @id\n}\n');
    expect((await harness.project.run(harness.url, ['db', 'push'])).exitCode).toBe(0);
    expect((await harness.project.run(harness.url, ['db', 'pull', '--print'])).output).toContain(
      'model Thing {',
    );
    await harness.project.migrations({ '1_a': 'CREATE TABLE a (i int);' });
    expect((await harness.project.run(harness.url, ['migrate', 'reset', '--force'])).exitCode).toBe(0);
    expect(await harness.tables()).toEqual(['_prisma_migrations', 'a']);

    await harness.project.migrations({});
    const script = join('prisma', 'schema.prisma');
    const executed = await harness.project.run(harness.url, ['db', 'execute', '--file', script]);
    expect(executed.output).toContain('ERROR: syntax error');
    expect(executed.exitCode).toBe(1);
  });
});

describe('what cannot work says so and exits 1', { timeout: 60_000 }, () => {
  test('the database is down: P1001', async () => {
    await harness.project.migrations({ '1_a': 'SELECT 1;' });
    const nowhere = harness.server
      .url(harness.database)
      .replace(String(harness.server.port), String(await freePort()));
    const result = await harness.project.run(nowhere, deploy);
    expect(result.output).toContain('P1001');
    expect(result.exitCode).toBe(1);
  });

  test('the WebAssembly engine throws into no one’s promise: the request is answered, the engine exits 1', async () => {
    const engine = spawn(harness.project.engine, ['--datasource', JSON.stringify({ url: harness.url })], {
      stdio: ['pipe', 'pipe', 'ignore'],
    });
    const exited = once(engine, 'exit');
    // Without its parameters the engine throws where nothing waits for it, and never settles its promise.
    engine.stdin.write('{"id":1,"jsonrpc":"2.0","method":"applyMigrations","params":{}}\n');
    const answer = String((await once(engine.stdout, 'data'))[0]);
    engine.stdin.end();
    expect(JSON.parse(answer)).toMatchObject({
      id: 1,
      error: { data: { message: expect.stringContaining('the schema engine crashed') as unknown } },
    });
    expect((await exited)[0]).toBe(1);
  });

  test('the engine panics, or its WebAssembly file is damaged', async () => {
    await harness.project.migrations({ '1_a': 'SELECT 1;' });
    const panic = await harness.project.run(harness.url, deploy, { FORCE_PANIC_SCHEMA_ENGINE: '1' });
    expect(panic.output).toContain('the schema engine crashed');
    expect(panic.exitCode).toBe(1);

    const folder = join(harness.engineFolder, 'damaged');
    const engine = await bundleEngine(folder);
    await truncate(join(folder, 'schema_engine_bg.wasm'), 100_000);
    const damaged = await harness.project.run(harness.url, deploy, { PRISMA_SCHEMA_ENGINE_BINARY: engine });
    expect(damaged.output).toContain('cannot load the schema engine');
    expect(damaged.exitCode).toBe(1);
    expect(await harness.tables()).toEqual([]);
  });
});
