import { createServer } from 'node:net';
import { join } from 'node:path';
import { execa, execaSync } from 'execa';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { freePort } from '../../orchestrator/lib/ports.ts';
import { attemptUpdate } from '../support/attempt-update.ts';
import { Cli } from '../support/cli.ts';
import { tally } from '../support/fault-tally.ts';
import { tidyUp } from '../support/left-behind.ts';
import { Ledger } from '../support/ledger.ts';
import { replaceIn } from '../support/releases.ts';
import { differences } from '../support/state.ts';

/* Strangers on a port, and a copy of the whole checkout, `.holdfast` and all, that must not lay hands on its original. */

let ledger: Ledger;
let installed: string;

beforeAll(async () => {
  ledger = await Ledger.install();
  await ledger.succeed('backup', 'create', '--name', 'first');
  installed = await ledger.sandbox.installedCommit();
});

afterAll(async () => {
  await tidyUp(ledger);
  await ledger?.destroy();
});

const copyTo = (name: string) => {
  const directory = join(ledger.sandbox.root, name);
  execaSync('cp', ['--archive', ledger.directory, directory]);
  return { program: ledger.program, directory };
};

test('a port that the target takes newly, and a stranger has: refused before anything is stopped', async (context) => {
  const port = await freePort([ledger.apiPort]);
  await ledger.sandbox.publish((folder) =>
    replaceIn(
      folder,
      'appliance.yaml',
      'services:\n',
      `services:\n  extra:\n    dir: web\n    start: node dist/server.js\n    port: ${port}\n    gate: none\n`,
    ),
  );
  const stranger = createServer((socket) => socket.end());
  await new Promise<void>((resolve) => {
    stranger.listen(port, '127.0.0.1', resolve);
  });
  try {
    expect(await attemptUpdate(ledger)).toEqual({
      exitCode: 3,
      error: expect.stringMatching(new RegExp(`service extra of .* port ${port}, which is in use`)),
      next: expect.stringContaining('ss -ltnp'),
      changed: [],
    });
    tally(context, 'unchanged');
  } finally {
    await new Promise((resolve) => {
      stranger.close(resolve);
    });
  }
});

test('a copy that was made while a run was open recovers nothing; the original does', async (context) => {
  await ledger.sandbox.publish(() => {}, { onto: installed });
  const was = await ledger.capture();
  const cli = Cli.start(ledger, 'update');
  await cli.reached('pull-code', 'apply', 'finished');
  await cli.kill();
  const copy = copyTo('copied in the middle');
  const open = ledger.open().state.unfinishedRun();

  for (const command of ['recover', 'stop', 'update']) {
    const { exitCode, stderr, result } = await Cli.run(copy, command);
    expect({ exitCode, says: `${stderr}${JSON.stringify(result)}` }).toEqual({
      exitCode: 3,
      says: expect.stringContaining('this is a copy of that, or was moved'),
    });
  }
  // What run.sh hands over to: the script came along, with the paths of the original in it.
  const script = await execa(join(copy.directory, '.holdfast/recover'), ['recover'], { reject: false });
  expect([script.exitCode, script.stderr]).toEqual([3, expect.stringContaining('this is a copy of that')]);

  expect(ledger.open().state.unfinishedRun()).toBe(open);
  expect(await Cli.run(ledger, 'recover')).toMatchObject({ exitCode: 10 });
  expect(differences(was, await ledger.capture())).toEqual([]);
  tally(context, 'restored');
});

test('a copy of an appliance that runs neither stops its services nor takes its database', async (context) => {
  const copy = copyTo('copied as it runs');
  const [was, pids] = [await ledger.capture(), await ledger.pids()];

  expect(await Cli.run(copy, 'stop')).toMatchObject({ exitCode: 0 });
  const started = await Cli.run(copy, 'start');
  expect([started.exitCode, started.stderr + JSON.stringify(started.result)]).toEqual([
    expect.toSatisfy((code: number) => code !== 0),
    expect.stringMatching(/cannot start the database server|port \d+ .* in use/),
  ]);

  expect(differences(was, await ledger.capture())).toEqual([]);
  expect(await ledger.pids()).toEqual(pids);
  tally(context, 'unchanged');
});
