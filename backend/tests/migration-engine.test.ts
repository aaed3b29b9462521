import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createEngine } from '../src/migration-engine.ts';

// Nobody listens there: looking goes by the files, and running fails.
const NOWHERE = 'postgresql://postgres@127.0.0.1:1/none';

await test('the real engine answers a question with its one object', async () => {
  const outcome = await createEngine(NOWHERE, () => {}).run(['--list']);
  assert(outcome.ok);
  const { migrations } = outcome.answer as { migrations: { id: string }[] };
  assert.equal(migrations[0]?.id, '001_populate_department_ids');
});

await test('the real engine refuses an unknown name with the sentence that the routes know it by', async () => {
  // A dry run asks the database first; an empty answer is not to be had without one.
  const outcome = await createEngine(NOWHERE, () => {}).run(['--only=']);
  assert.deepEqual(outcome, {
    ok: false,
    exitCode: 2,
    error: 'cannot run the data migrations: --only needs a value. See run.sh --help',
  });
});

await test('a failure of the real engine is its sentence and its exit code', async () => {
  const outcome = await createEngine(NOWHERE, () => {}).run([]);
  assert(!outcome.ok);
  assert.equal(outcome.exitCode, 1);
  assert.match(outcome.error, /^cannot run the data migrations: the database does not answer/);
});

await test('a process that cannot be started is an outcome, not an exception', async () => {
  const outcome = await createEngine(NOWHERE, () => {}).run(['--only=\0']);
  assert(!outcome.ok);
  assert.match(outcome.error, /^cannot start the data migrations: /);
});

await test('an engine that ends without a result is told, and what it said on stderr is passed on', async () => {
  const lines: string[] = [];
  const engine = createEngine(NOWHERE, (line) => lines.push(line));
  const running = engine.run(['--status']);
  engine.stop();
  const outcome = await running;
  assert(!outcome.ok);
  assert.match(
    outcome.error,
    /^cannot say how the data migrations went: their process ended too soon \(SIGTERM\)/,
  );
});
