import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { waitingMark } from '../support/broken-releases.ts';
import { Cli } from '../support/cli.ts';
import { leftOf, tidyUp, unfinishedRun, untilWaiting } from '../support/left-behind.ts';
import { Ledger } from '../support/ledger.ts';
import { dataMigration, release, replaceIn, type Edit } from '../support/releases.ts';
import { differences, type State } from '../support/state.ts';
import { oneIn, isThorough } from '../support/thoroughness.ts';

/* Data migrations that wait until the new version is healthy: `when: after-start`, with either `onFailure`. */

const late = 'api/data-migrations, when: after-start';
let ledger: Ledger;
let installed: string;
let was: State;

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

/** A release whose data migration does this, at this time. */
async function publish(where: string, body: string): Promise<string> {
  const edit: Edit = (folder) => {
    release(3)(folder);
    replaceIn(folder, 'appliance.yaml', 'api/data-migrations', where);
    dataMigration(folder, '004_late', body);
  };
  const commit = await ledger.sandbox.publish(edit, { onto: installed });
  was = await ledger.capture();
  return commit;
}

/** Notes what the public port answers while the data migration runs. */
const asks = () => `const { writeFileSync } = await import('node:fs');
const answer = await fetch('http://127.0.0.1:${ledger.apiPort}/version');
writeFileSync(new URL('../../../answer', import.meta.url), \`\${answer.status} \${await answer.text()}\`);`;
const answer = () => readFileSync(join(ledger.sandbox.root, 'answer'), 'utf8');
const waits = `const { writeFileSync } = await import('node:fs');
writeFileSync(new URL('../../../${waitingMark}', import.meta.url), '');
await new Promise((resolve) => setTimeout(resolve, 60_000));`;

describe('with onFailure: fail', () => {
  test('they run on a healthy new version behind the gate, and the commit comes after them', async () => {
    const commit = await publish(late, asks());
    const outcome = await ledger.run('update');
    expect(outcome).toMatchObject({ exitCode: 0 });
    const finished = outcome.events.flatMap((event) =>
      event.type === 'step' && event.half === 'apply' && event.state === 'finished' ? [event.step] : [],
    );
    expect(finished.slice(-3)).toEqual(['verify', 'migrate-data', 'commit']);
    expect(answer()).toMatch(/^503 /);
    expect(await ledger.answeringCommit()).toBe(commit);
    await ledger.succeed('rollback');
  });

  test.runIf(isThorough)('a failure restores everything', async () => {
    await publish(late, "throw new Error('row 7 has no name');");
    expect(await ledger.run('update')).toMatchObject({
      exitCode: 10,
      result: { outcome: 'restored', failedStep: 'migrate-data' },
    });
    expect(differences(was, await ledger.capture())).toEqual([]);
  });

  test.each(oneIn(2, ['SIGKILL', 'SIGTERM'] as const))(
    '%s in the middle restores everything',
    async (signal) => {
      await publish(late, waits);
      const cli = Cli.start(ledger, 'update');
      await untilWaiting(ledger, cli);
      const { run } = unfinishedRun(ledger);
      cli.signal(signal);
      const end = await cli.ended;
      const recovery = signal === 'SIGKILL' ? await Cli.run(ledger, 'recover') : end;
      expect(recovery).toMatchObject({ exitCode: 10, result: { outcome: 'restored' } });
      expect(differences(was, await ledger.capture())).toEqual([]);
      expect(await leftOf(ledger, run)).toEqual([]);
    },
  );
});

describe('with onFailure: warn', () => {
  const warns = `${late}, onFailure: warn`;

  test('they run while the new version serves all', async () => {
    const commit = await publish(warns, asks());
    expect(await ledger.run('update')).toMatchObject({ exitCode: 0, result: { warnings: [] } });
    expect(answer()).toBe(`200 ${JSON.stringify({ commit })}`);
    await ledger.succeed('rollback');
    expect(differences(was, await ledger.capture())).toEqual([]);
  });

  test('a failure is a warning with the command that goes on, exit 0', async () => {
    const commit = await publish(warns, "throw new Error('row 7 has no name');");
    const outcome = await ledger.run('update');
    expect(outcome).toMatchObject({ exitCode: 0, result: { ok: true, outcome: 'updated' } });
    expect(outcome.result?.['warnings']).toEqual([
      expect.stringMatching(/row 7 has no name[^]*Next: \.\/run\.sh data retry 004_late$/),
    ]);
    expect(await ledger.answeringCommit()).toBe(commit);
    expect(ledger.open().state.unfinishedRun()).toBeUndefined();
    expect(await ledger.run('data', 'retry', '004_late')).toMatchObject({ exitCode: 1 });
    await ledger.succeed('rollback');
  });

  test('Ctrl-C stops them, and the update stands', async () => {
    const commit = await publish(warns, waits);
    const cli = Cli.start(ledger, 'update');
    await untilWaiting(ledger, cli);
    expect(await Cli.run(ledger, 'data', 'run')).toMatchObject({ exitCode: 4 });
    cli.signal('SIGINT');
    const end = await cli.ended;
    expect(end).toMatchObject({ exitCode: 0, result: { outcome: 'updated' } });
    expect(end.result?.['warnings']).toEqual([
      expect.stringMatching(/interrupted by SIGINT[^]*Next: .* data run$/),
    ]);
    expect(await ledger.answeringCommit()).toBe(commit);
    await ledger.succeed('rollback');
  });

  test('killed in the middle of them the update stands, and recovery tells what was not run', async () => {
    const commit = await publish(warns, waits);
    const cli = Cli.start(ledger, 'update');
    await untilWaiting(ledger, cli);
    expect(unfinishedRun(ledger).phase).toBe('committed');
    const { run } = unfinishedRun(ledger);
    await cli.kill();
    const recovery = await ledger.run('recover');
    expect(recovery).toMatchObject({ exitCode: 0, result: { outcome: 'after' } });
    expect(recovery.events).toContainEqual({
      type: 'warning',
      message: 'not run yet: 1 data migration (004_late). Next: ./run.sh data run',
    });
    expect(await leftOf(ledger, run)).toEqual([]);
    expect(await ledger.answeringCommit()).toBe(commit);
    await ledger.succeed('rollback');
  });
});

test('a setup runs them once the services are there', async () => {
  const fresh = await Ledger.create();
  try {
    replaceIn(fresh.directory, 'appliance.yaml', 'api/data-migrations', `${late}, onFailure: warn`);
    dataMigration(
      fresh.directory,
      '002_asks',
      asks().replaceAll(String(ledger.apiPort), String(fresh.apiPort)),
    );
    dataMigration(fresh.directory, '003_fails', "throw new Error('row 7 has no name');");
    const outcome = await fresh.run('setup');
    expect(outcome).toMatchObject({ exitCode: 0 });
    expect(outcome.events).toContainEqual({
      type: 'warning',
      message: expect.stringMatching(/row 7 has no name[^]*Next: \.\/run\.sh data retry 003_fails$/),
    });
    expect(readFileSync(join(fresh.sandbox.root, 'answer'), 'utf8')).toMatch(/^200 /);
    expect(existsSync(fresh.open().state.installed)).toBe(true);
  } finally {
    await fresh.destroy();
  }
});
