import { execaSync } from 'execa';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test, type TestContext } from 'vitest';
import { readArchive } from '../../orchestrator/snapshot/archive-reader.ts';
import { Cli } from '../support/cli.ts';
import { tally } from '../support/fault-tally.ts';
import { asOfAnotherHost } from '../support/foreign-snapshot.ts';
import { tidyUp } from '../support/left-behind.ts';
import { Ledger } from '../support/ledger.ts';
import { can, needs } from '../support/needs.ts';
import { release } from '../support/releases.ts';
import { differences, type State } from '../support/state.ts';

/*
 * A snapshot leaves the machine and comes back: whole or not at all, wherever export, import or backup are killed.
 */

let ledger: Ledger;
/** The snapshot of the update from v1, and what v1 was then. */
let id: string;
let v1: State;
let file: string;
const backups = () => join(ledger.directory, 'backups');
const folder = () => join(backups(), id);
const snapshots = () => readdirSync(backups()).filter((name) => !name.startsWith('.'));

beforeAll(async () => {
  ledger = await Ledger.install();
  // The folder of the snapshots is made once, and stays whatever is rolled back.
  await ledger.succeed('backup', 'create', '--name', 'first');
  // Enough that writing it takes a while.
  writeFileSync(join(ledger.directory, 'data/film.bin'), randomBytes(24_000_000));
  v1 = await ledger.capture();
  await ledger.sandbox.publish(release(2), { tag: 'v2' });
  await ledger.succeed('update');
  id = snapshots().toSorted().at(-1) ?? '';
  file = join(ledger.sandbox.root, 'a: snapshot.tar.zst');
});

afterEach(async () => {
  await tidyUp(ledger);
});

afterAll(async () => {
  await ledger?.destroy();
});

test('export writes one archive, 0600 whatever the umask, that any tar can read, and says what is in it', async () => {
  const umask = process.umask(0);
  const outcome = await ledger.run('backup', 'export', id, file);
  process.umask(umask);

  expect(outcome).toMatchObject({ exitCode: 0, error: '', result: { snapshot: id, file } });
  expect(outcome.text).toMatch(/secrets \(\.env\).* is not encrypted/);
  expect(statSync(file).mode & 0o777).toBe(0o600);
  const { stdout } = execaSync('tar', ['--force-local', '--zstd', '--list', `--file=${file}`]);
  expect(stdout.split('\n').toSorted()).toEqual(
    readdirSync(folder())
      .map((name) => `${id}/${name}`)
      .toSorted(),
  );
});

test('export never overwrites without being told, and refuses what is no place for it', async (context) => {
  writeFileSync(file, 'precious');
  expect(await ledger.run('backup', 'export', id, file)).toMatchObject({
    exitCode: 3,
    next: expect.stringContaining('--overwrite'),
  });
  expect(statSync(file).size).toBe(8);
  expect(await ledger.run('backup', 'export', id, file, '--overwrite')).toMatchObject({ exitCode: 0 });
  expect(statSync(file).size).toBeGreaterThan(1000);
  for (const place of [ledger.sandbox.root, join(folder(), 'x'), join(ledger.sandbox.root, 'no/such/x')])
    expect(await ledger.run('backup', 'export', id, place)).toMatchObject({ exitCode: 2 });
  tally(context, 'unchanged');
});

test('a full disk: export refuses, and leaves nothing', async (context) => {
  needs(context, 'mount');
  const small = join(ledger.sandbox.root, 'small');
  mkdirSync(small);
  execaSync('mount', ['-t', 'tmpfs', '-o', 'size=16k,mode=0700', 'small', small]);
  try {
    const outcome = await ledger.run('backup', 'export', id, join(small, 'x'));
    expect(outcome).toMatchObject({ exitCode: 3, error: expect.stringMatching(/^cannot export .*space/s) });
    expect(readdirSync(small)).toEqual([]);
  } finally {
    execaSync('umount', [small]);
  }
  tally(context, 'unchanged');
});

describe('killed at random instants', () => {
  /**
   * Kills a command again and again, each time a while after it began to write. Returns what was found wrong, with the
   * instant; empty when nothing was.
   */
  async function sweep(
    { count, withinMs, argv }: { count: number; withinMs: number; argv: string[] },
    begun: () => boolean,
    findWrong: () => Promise<string[]>,
  ): Promise<string[]> {
    const wrong: string[] = [];
    for (let round = 0; round < count; round += 1) {
      const after = ((round + Math.random()) / count) * withinMs;
      const cli = Cli.start(ledger, ...argv);
      await cli.until('it began to write', begun);
      await new Promise((resolve) => setTimeout(resolve, after));
      await cli.kill();
      wrong.push(...(await findWrong()).map((line) => `killed after ${Math.round(after)} ms: ${line}`));
    }
    return wrong;
  }

  test('export: the file is whole or not there', async (context) => {
    const target = join(ledger.sandbox.root, 'killed.tar.zst');
    const written = () => readdirSync(ledger.sandbox.root).filter((name) => name.startsWith('killed'));
    const argv = ['backup', 'export', id, target];
    const wrong = await sweep(
      { count: 8, withinMs: 150, argv },
      () => written().length > 0,
      async () => {
        const found = existsSync(target)
          ? await readArchive(target, () => undefined).catch((error: unknown) => String(error))
          : 'none';
        for (const name of written()) rmSync(join(ledger.sandbox.root, name));
        return typeof found === 'string' && found !== 'none' ? [found] : [];
      },
    );
    expect(wrong).toEqual([]);
    // What a killed one left goes with the next.
    const last = Cli.start(ledger, ...argv);
    await last.until('it began to write', () => written().length > 0);
    await last.kill();
    await ledger.succeed(...argv, '--overwrite');
    expect(written()).toEqual(['killed.tar.zst']);
    tally(context, 'unchanged', 8);
  });

  test('import: the snapshot is there and verified, or not there', async (context) => {
    const was = snapshots();
    renameSync(folder(), join(ledger.sandbox.root, id));
    const before = readdirSync(backups());
    const wrong = await sweep(
      { count: 8, withinMs: 150, argv: ['backup', 'import', file] },
      () => readdirSync(backups()).length > before.length,
      async () => {
        const listed = JSON.stringify((await ledger.run('backup', 'list')).result);
        const verified = existsSync(folder()) ? (await ledger.run('backup', 'verify', id)).exitCode : 0;
        // As a prune does with what is unsealed.
        for (const name of readdirSync(backups()))
          if (!before.includes(name) || name === id) rmSync(join(backups(), name), { recursive: true });
        return [
          ...(/unsealed|problem/.test(listed) ? [listed] : []),
          ...(verified === 0 ? [] : ['it is not whole']),
        ];
      },
    );
    expect(wrong).toEqual([]);
    await ledger.succeed('backup', 'import', file);
    expect(snapshots()).toEqual(was);
    tally(context, 'unchanged', 8);
  });

  test('backup create: a snapshot is whole or not there, and the appliance is as it was', async (context) => {
    const was = await ledger.capture();
    const unsealed = () => snapshots().filter((name) => name.endsWith('.unsealed'));
    const how = { count: 3, withinMs: 400, argv: ['backup', 'create'] };
    const wrong = await sweep(
      how,
      () => unsealed().length > 0,
      async () => {
        await Cli.run(ledger, 'recover');
        const { exitCode, text } = await ledger.run('backup', 'verify');
        return [
          ...unsealed(),
          ...(exitCode === 0 ? [] : [text]),
          ...differences(was, await ledger.capture()),
        ];
      },
    );
    expect(wrong).toEqual([]);
    tally(context, 'restored', 3);
  });
});

describe('imported', () => {
  test('on the machine that made it: listed, verified, never pruned, and rolled back to', async () => {
    rmSync(folder(), { recursive: true });
    expect(await ledger.run('backup', 'import', file)).toMatchObject({
      exitCode: 0,
      result: { wasHere: false, notes: [] },
    });
    expect(await ledger.run('backup', 'import', file)).toMatchObject({
      exitCode: 0,
      result: { wasHere: true },
    });
    expect((await ledger.run('backup', 'list')).result?.['snapshots']).toContainEqual(
      expect.objectContaining({ id, imported: true }),
    );
    expect(await ledger.run('backup', 'verify', id, '--deep')).toMatchObject({ exitCode: 0 });

    expect(await ledger.run('rollback', id)).toMatchObject({ exitCode: 0, error: '' });

    expect(differences(v1, await ledger.capture())).toEqual([]);
    await ledger.succeed('rollback', '--undo');
  });

  test('from another host: refused where packages are missing, with the command that makes them anew', async (context) => {
    const was = await ledger.capture();
    asOfAnotherHost(ledger, folder());
    const refused = await ledger.run('rollback', id);
    expect(refused).toMatchObject({
      exitCode: 3,
      error: expect.stringMatching(/api\/node_modules.* not kept here/),
    });
    expect(refused.next).toContain(`./run.sh rollback ${id} --rebuild`);
    await refusedWithoutRole(context, was);
  });

  test('and with that command rolled back to: code, data, rows and a version that answers', async () => {
    expect(await ledger.run('rollback', id, '--rebuild')).toMatchObject({ exitCode: 0, error: '' });

    const changed = differences(v1, await ledger.capture());
    // Packages and builds are new ones, which the folders they lie in and git's index know.
    expect(
      changed.filter((line) => !/^product |^git: index|^directory (api|web): modified/.test(line)),
    ).toEqual([]);
    await ledger.post('on another host', 1);
    expect(await ledger.run('rollback', '--undo')).toMatchObject({ exitCode: 0 });
  });
});

/** Its dump grants something to a role that another server need not have. */
async function refusedWithoutRole(context: TestContext, was: State): Promise<void> {
  if (!can('postgresql')) return;
  await ledger.sql('alter role auditor rename to somebody');
  const outcome = await ledger.run('rollback', id, '--rebuild');
  await ledger.sql('alter role somebody rename to auditor');
  expect(outcome).toMatchObject({
    exitCode: 3,
    error: expect.stringContaining('role "auditor" does not exist'),
  });
  expect(differences(was, await ledger.capture())).toEqual([]);
  tally(context, 'unchanged');
}
