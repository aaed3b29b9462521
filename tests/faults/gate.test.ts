import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { waitFor } from '../../orchestrator/lib/wait.ts';
import { good, waitingMark, wrongCommit } from '../support/broken-releases.ts';
import { Cli } from '../support/cli.ts';
import { tally } from '../support/fault-tally.ts';
import { interfering } from '../support/interference.ts';
import { leftOf, tidyUp, unfinishedRun } from '../support/left-behind.ts';
import { Ledger } from '../support/ledger.ts';
import { release, replaceIn, type Edit } from '../support/releases.ts';
import { differences } from '../support/state.ts';
import { Writer } from '../support/writer.ts';

/*
 * What was acknowledged is kept, whichever version acknowledged it. So the new one acknowledges nothing before the
 * commit, and nothing is restored any more once the version of before has started.
 */

let ledger: Ledger;
let installed: string;
const mark = () => join(ledger.sandbox.root, waitingMark);

beforeAll(async () => {
  ledger = await Ledger.install();
  installed = await ledger.sandbox.publish(release(2), { tag: 'v2' });
  await ledger.succeed('update');
});

afterEach(async () => {
  await tidyUp(ledger);
});

afterAll(async () => {
  await ledger?.destroy();
});

test('a client that writes all the time loses nothing when the update fails behind the gate', async (context) => {
  await ledger.sandbox.publish(wrongCommit, { onto: installed });
  const before = await ledger.notes();
  const writer = Writer.start(ledger);

  const outcome = await ledger.run('update');
  // The version of before takes its writes again.
  const again = (await ledger.notes()).length;
  await waitFor(async () => ((await ledger.notes()).length > again + 2 ? true : undefined), {
    timeoutMs: 20_000,
  });
  const { acknowledged } = await writer.stop();

  expect(outcome).toMatchObject({ exitCode: 10, result: { outcome: 'restored', failedStep: 'verify' } });
  expect(acknowledged.length).toBeGreaterThan(3);
  const notes = await ledger.notes();
  expect(notes.slice(0, before.length)).toEqual(before);
  expect(notes).toEqual(expect.arrayContaining([...acknowledged]));
  tally(context, 'restored');
});

/** A worker, which has no port that a gate could close: it writes as soon as it runs. */
const withWorker: Edit = (folder) => {
  good(folder);
  writeFileSync(
    join(folder, 'api/src/worker.js'),
    `import { writeFileSync } from 'node:fs';
import { database } from '../data-migration.js';
const client = await database();
await client.query("insert into entries (note, amount) values ('by the worker', 1)");
writeFileSync('../../${waitingMark}', '');
setInterval(() => {}, 1000);
`,
  );
  replaceIn(
    folder,
    'appliance.yaml',
    'database: {',
    '  worker: { dir: api, start: node dist/worker.js, after: [api] }\ndatabase: {',
  );
};

test('between the start and the commit nobody outside is answered and no worker runs; after it both', async (context) => {
  const commit = await ledger.sandbox.publish(withWorker, { onto: installed });
  const was = await ledger.capture();
  let refused: unknown;
  const seen: string[] = [];
  const lookAround = async () => {
    refused = await ledger
      .post('from outside, before the commit', 1)
      .catch((error: unknown) => String(error));
    if (((await ledger.pids())['worker'] ?? 0) !== 0) seen.push('worker');
    if (existsSync(mark())) seen.push('the worker did something');
  };

  // The last thing before the commit is its barrier.
  const outcome = await interfering(
    ledger,
    {
      during: 'commit',
      at: /^sync/,
      before: async () => {
        await lookAround();
        throw new Error('the disk is broken');
      },
    },
    'update',
  );
  expect(outcome).toMatchObject({ exitCode: 10, error: expect.stringMatching(/the disk is broken/) });
  expect(refused).toMatch(/503/);
  expect(seen).toEqual([]);
  expect(differences(was, await ledger.capture())).toEqual([]);
  tally(context, 'restored');

  await interfering(ledger, { during: 'commit', at: /^sync/, before: lookAround }, 'update');
  expect(refused).toMatch(/503/);
  expect(seen).toEqual([]);
  expect(await ledger.answeringCommit()).toBe(commit);
  expect(await waitFor(() => existsSync(mark()) || undefined, { timeoutMs: 20_000 })).toBe(true);
  rmSync(mark());
  await ledger.post('from outside, after the commit', 1);
  expect((await ledger.notes()).filter((note) => /worker|outside/.test(note)).toSorted()).toEqual([
    'by the worker',
    'from outside, after the commit',
  ]);
  expect(await ledger.run('rollback')).toMatchObject({ exitCode: 0 });
});

test('killed after `restored`, when the version of before took writes already: recover keeps them', async (context) => {
  await ledger.sandbox.publish(wrongCommit, { onto: installed });
  const before = await ledger.notes();
  const cli = Cli.start(ledger, 'update');
  await cli.until('the run is restored', () => unfinishedRun(ledger).phase === 'restored');
  const writer = Writer.start(ledger);
  await cli.until('the last service starts', async () => (await ledger.pids())['web'] !== 0);
  await cli.kill();
  const { run, phase } = unfinishedRun(ledger);
  expect(phase).toBe('restored');
  await ledger.post('acknowledged after the kill', 1);
  const upload = join(ledger.directory, 'data/uploads/after the kill');
  writeFileSync(upload, 'by the version of before\n');
  const { acknowledged } = await writer.stop();

  expect(await Cli.run(ledger, 'recover')).toMatchObject({ exitCode: 10, result: { outcome: 'restored' } });

  const notes = await ledger.notes();
  expect(notes.slice(0, before.length)).toEqual(before);
  expect(notes).toEqual(expect.arrayContaining([...acknowledged, 'acknowledged after the kill']));
  expect(existsSync(upload)).toBe(true);
  expect(await ledger.answeringCommit()).toBe(installed);
  expect(await leftOf(ledger, run)).toEqual([]);
  tally(context, 'restored');
});
