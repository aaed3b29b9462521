import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import type { Outcome } from '../src/migration-engine.ts';
import type { MigrationSettings } from '../src/migration-settings.ts';
import { migrateAtStart } from '../src/startup-migrations.ts';
import { createFakeEngine, DONE, type FakeEngine } from './support/fake-engine.ts';
import { createLog } from './support/guarded-server.ts';

const LOOK = [['--status']];
const RUN = [['--status'], []];
const POLL_MS = 5;
const OFF: MigrationSettings = {
  developerKey: undefined,
  atStart: 'nothing',
  reason: undefined,
  gateFile: undefined,
};

let folder = '';
let log = '';
let logger: ReturnType<typeof createLog>;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'a gate '));
  log = '';
  logger = createLog((line) => void (log += line));
});
afterEach(async () => {
  await rm(folder, { recursive: true });
});

function engineWith(pending: string[], failed: string[] = [], ran: Outcome = DONE): FakeEngine {
  const seen: Outcome = { ok: true, message: '', answer: { pending, failed, warnings: ['a gap'] } };
  return createFakeEngine((args) =>
    args.includes('--status')
      ? { outcome: seen }
      : { outcome: ran, events: [{ type: 'migration-finished', id: '001_a', status: 'success' }] },
  );
}

async function start(
  settings: Partial<MigrationSettings>,
  engine: FakeEngine,
  stopping = new AbortController(),
): Promise<void> {
  await migrateAtStart({ ...OFF, ...settings }, engine, logger, stopping.signal, POLL_MS);
}

await test('not told to: the engine is left alone', async () => {
  const engine = engineWith(['001_a']);
  await start({}, engine);
  assert.deepEqual(engine.asked, []);
  assert.equal(log, '');
});

await test('told to look: what is pending stands in the log, and nothing runs', async () => {
  const engine = engineWith(['001_a'], ['002_b']);
  await start({ atStart: 'look' }, engine);
  assert.deepEqual(engine.asked, LOOK);
  assert.match(
    log,
    /"pending":\["001_a"\],"failed":\["002_b"\],"msg":"data migrations: 1 pending, 1 failed"/,
  );
  assert.match(log, /data migrations: a gap/);
});

await test('told to run: runs what is pending, and says why and how it went', async () => {
  const engine = engineWith(['001_a']);
  await start({ atStart: 'run', reason: 'no updater here' }, engine);
  assert.deepEqual(engine.asked, RUN);
  assert.match(log, /AUTO_MIGRATE runs them \(no updater here\)/);
  assert.match(log, /"id":"001_a","status":"success","msg":"migration-finished"/);
  assert.match(log, /Data migrations: done\./);
});

await test('told to run: failed ones are tried again, and without any nothing is begun', async () => {
  const failed = engineWith([], ['001_a']);
  await start({ atStart: 'run' }, failed);
  assert.deepEqual(failed.asked, RUN);
  const none = engineWith([]);
  await start({ atStart: 'run' }, none);
  assert.deepEqual(none.asked, LOOK);
});

await test('a failure stands in the log, and does not reach the backend', async () => {
  const engine = engineWith(['001_a'], [], { ok: false, exitCode: 1, error: 'cannot apply 001_a: no' });
  await start({ atStart: 'run' }, engine);
  assert.match(log, /"level":50.*"exitCode":1,"msg":"cannot apply 001_a: no"/);
});

await test('a look that fails stands in the log, and nothing is run', async () => {
  const engine = createFakeEngine(() => ({
    outcome: { ok: false, exitCode: 2, error: 'cannot read the registry' },
  }));
  await start({ atStart: 'run' }, engine);
  assert.deepEqual(engine.asked, LOOK);
  assert.match(log, /"level":50.*cannot read the registry/);
});

await test('nothing runs while the gate is closed; once it is open, it does', async () => {
  const gateFile = path.join(folder, 'gate');
  await writeFile(gateFile, 'closed\n');
  const engine = engineWith(['001_a']);
  const started = start({ atStart: 'run', gateFile }, engine);
  await setTimeout(20 * POLL_MS);
  assert.deepEqual(engine.asked, LOOK);
  assert.match(log, /waiting for the update to be committed/);
  await rm(gateFile);
  await started;
  assert.deepEqual(engine.asked, RUN);
});

await test('a backend that ends while the gate is closed begins nothing', async () => {
  const gateFile = path.join(folder, 'gate');
  await writeFile(gateFile, 'closed\n');
  const engine = engineWith(['001_a']);
  const stopping = new AbortController();
  const started = start({ atStart: 'run', gateFile }, engine, stopping);
  await setTimeout(4 * POLL_MS);
  stopping.abort();
  await started;
  assert.deepEqual(engine.asked, LOOK);
});
