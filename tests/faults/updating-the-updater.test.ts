import { appendFileSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { Cli } from '../support/cli.ts';
import { tally } from '../support/fault-tally.ts';
import { leftOf, unfinishedRun } from '../support/left-behind.ts';
import { Ledger } from '../support/ledger.ts';
import { release, replaceIn, type Edit } from '../support/releases.ts';
import { differences } from '../support/state.ts';
import { oneIn } from '../support/thoroughness.ts';

/*
 * A checkout that brings Holdfast itself, and releases that change it: run.sh, the sources, the packages and the
 * journal's format. The run under way is finished, or taken back, by the Holdfast that began it.
 */

let ledger: Ledger;
let installed: string;
const at = (path: string) => join(ledger.directory, path);
const door = async (...argv: string[]) => await Cli.startDoor(ledger, ...argv).ended;

/** Another Holdfast in everything: its journals are of a format that the present one does not read. */
const anotherHoldfast: Edit = (folder) => {
  release(2)(folder);
  appendFileSync(join(folder, 'run.sh'), '# Another door.\n');
  replaceIn(folder, 'package.json', '"version": "0.1.0"', '"version": "0.2.0"');
  replaceIn(folder, 'package-lock.json', '"version": "0.1.0"', '"version": "0.2.0"');
  replaceIn(folder, 'orchestrator/pipeline/journal-entries.ts', 'stateFormat = 1', 'stateFormat = 2');
  replaceIn(
    folder,
    'orchestrator/pipeline/journal.ts',
    '{ seq: this.#records.length + 1,',
    '{ seq: this.#records.length + 1, by: "another",',
  );
};

beforeAll(async () => {
  ledger = await Ledger.createSelfHosted();
  for (const argv of [['setup'], ['backup', 'create']]) {
    const { exitCode, stderr } = await door(...argv);
    if (exitCode !== 0) throw new Error(`${argv.join(' ')}: exit ${exitCode}, ${stderr}`);
  }
  installed = await ledger.sandbox.installedCommit();
  await ledger.post('opening', 100);
});

afterEach(async () => {
  await Cli.endAll();
});

afterAll(async () => {
  await ledger?.destroy();
});

const journalOf = (run: string) => readFileSync(join(ledger.open().state.run(run), 'journal.ndjson'), 'utf8');

const closedDoors: readonly [string, RegExp, Edit][] = [
  [
    'run.sh says exit 1',
    /run\.sh --version failed \(exit 1\)/,
    (folder) => writeFileSync(join(folder, 'run.sh'), 'exit 1\n'),
  ],
  ['run.sh does nothing', /printed nothing/, (folder) => writeFileSync(join(folder, 'run.sh'), '')],
  ['run.sh is gone', /run\.sh --version failed \(exit 127\)/, (folder) => rmSync(join(folder, 'run.sh'))],
  [
    'the orchestrator does not build',
    /the runner could not be built/,
    (folder) => appendFileSync(join(folder, 'orchestrator/main.ts'), '\nthis is no program\n'),
  ],
  [
    'the definitions of its containers are gone',
    /run\.sh --version failed|the runner could not be built/,
    (folder) => rmSync(join(folder, 'lxd'), { recursive: true }),
  ],
  [
    'the orchestrator throws at once',
    /a bug of the vendor/,
    (folder) =>
      appendFileSync(join(folder, 'orchestrator/main.ts'), "\nthrow new Error('a bug of the vendor');\n"),
  ],
];

test.for(oneIn(4, closedDoors))(
  'a release whose door does not open (%s) is refused before anything is stopped',
  async ([, says, edit], context) => {
    await ledger.sandbox.publish(
      (folder) => {
        release(2)(folder);
        edit(folder);
      },
      { onto: installed },
    );
    const was = await ledger.capture();
    const pids = await ledger.pids();

    const refused = await door('update');
    expect(refused).toMatchObject({
      exitCode: 3,
      result: { outcome: 'refused', error: expect.stringContaining('its own Holdfast does not start') },
    });
    expect(refused.result?.['error']).toMatch(says);
    expect(differences(was, await ledger.capture())).toEqual([]);
    expect(await ledger.pids()).toEqual(pids);
    expect(readdirSync(ledger.open().state.run(String(refused.result?.['run'])))).not.toContain('door');
    tally(context, 'unchanged');
  },
);

test('killed with the new door in place: the Holdfast that began takes it back, whatever the checkout holds', async (context) => {
  const was = await ledger.capture();
  await ledger.sandbox.publish(anotherHoldfast, { onto: installed });
  const cli = Cli.startDoor(ledger, 'update');
  await cli.reached('restart-services', 'apply', 'started');
  await cli.kill();
  expect(readFileSync(at('run.sh'), 'utf8')).toContain('# Another door.');
  const { run } = unfinishedRun(ledger);

  // The new run.sh hands over.
  const first = Cli.startDoor(ledger, 'recover');
  await first.restoring('products');
  await first.kill();
  expect(journalOf(run)).not.toContain('another');

  // And where neither run.sh nor the sources are of any use, the script does it alone.
  writeFileSync(at('run.sh'), 'exit 1\n');
  writeFileSync(at('orchestrator/main.ts'), 'this is no program\n');
  expect(await door('recover')).toMatchObject({ exitCode: 1 });
  const recovery = await execa(at('.holdfast/recover'), ['recover'], { reject: false });
  expect(recovery.exitCode).toBe(10);
  expect(differences(was, await ledger.capture())).toEqual([]);
  expect(await leftOf(ledger, run)).toEqual([]);
  tally(context, 'restored');
});

test('the update is finished by the Holdfast that began it; the next run is the new one’s', async (context) => {
  const commit = await ledger.sandbox.publish(anotherHoldfast, { onto: installed });
  const updated = await door('update');
  expect(updated).toMatchObject({ exitCode: 0, result: { outcome: 'updated', warnings: [] } });
  const run = String(updated.result?.['run']);
  expect(journalOf(run)).not.toContain('another');
  expect(await ledger.answeringCommit()).toBe(commit);
  const { stdout } = await execa('bash', [at('run.sh'), '--version']);
  expect(stdout).toBe('0.2.0');

  // Should its door not open after all (here: its packages are gone, and the network as well): back by the former one.
  const { dependencies, runner } = {
    dependencies: at('.holdfast/dependencies'),
    runner: at('.holdfast/runner'),
  };
  for (const folder of [dependencies, runner]) mkdirSync(folder, { recursive: true });
  const newest = readFileSync(join(ledger.open().state.run(run), 'configuration.json'), 'utf8');
  for (const name of readdirSync(runner))
    if (!newest.includes(name)) rmSync(join(runner, name), { recursive: true });
  for (const name of readdirSync(dependencies)) rmSync(join(dependencies, name), { recursive: true });
  const offline = {
    PATH: `${ledger.sandbox.root}/bin:${process.env['PATH']}`,
    npm_config_registry: 'http://127.0.0.1:9',
    npm_config_fetch_retries: '0',
    npm_config_cache: join(ledger.sandbox.root, 'no cache'),
  };
  expect(await execa('bash', [at('run.sh'), 'status'], { reject: false, env: offline })).toMatchObject({
    exitCode: 1,
    stderr: expect.stringContaining("npm could not download Holdfast's dependencies"),
  });
  const back = await execa(at('.holdfast/recover'), ['rollback', '--yes'], { reject: false, env: offline });
  expect(back.stderr).not.toContain('✖');
  expect(back.exitCode).toBe(0);
  expect(await ledger.answeringCommit()).toBe(installed);
  expect(await ledger.notes()).toEqual(['opening']);
  tally(context, 'completed');
});
