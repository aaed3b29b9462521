import { existsSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Ledger } from '../support/ledger.ts';
import { nonAsciiDocument } from '../support/odd-files.ts';
import { release } from '../support/releases.ts';
import { differences } from '../support/state.ts';
import { lostWrites, Writer } from '../support/writer.ts';

/* Updates that do what they should, one after another on one installation that was never set up. */

let ledger: Ledger;
const at = (path: string) => join(ledger.directory, path);
const git = async (...args: string[]) => await ledger.sandbox.git(ledger.directory, ...args);

beforeAll(async () => {
  ledger = await Ledger.create();
});

afterAll(async () => {
  await ledger?.destroy();
});

describe('an update', () => {
  test('of a checkout that was never set up sets it up first', async () => {
    const outcome = await ledger.run('update');

    expect(outcome).toMatchObject({ exitCode: 0, error: '', result: { outcome: 'current' } });
    expect(await ledger.answeringCommit()).toBe(await ledger.sandbox.installedCommit());
    await ledger.post('first', 1);
    await ledger.post('second', -2);
    await ledger.post('third', 3);
  });

  test('brings code, packages, schema, data and services to the new version, and loses no acknowledged write', async () => {
    const secret = statSync(at('.env'));
    const writer = Writer.start(ledger);
    const commit = await ledger.sandbox.publish(release(2), { tag: 'v2' });

    const outcome = await ledger.run('update');
    const { acknowledged } = await writer.stop();

    expect(outcome).toMatchObject({
      exitCode: 0,
      error: '',
      result: { outcome: 'updated', to: commit, warnings: [] },
    });
    expect(await ledger.answeringCommit()).toBe(commit);
    expect(lostWrites(['first', 'second', 'third', ...acknowledged], await ledger.notes())).toEqual([]);
    expect(acknowledged.length).toBeGreaterThan(3);
    expect(await ledger.sql('select kind_2 from entries where id <= 3 order by id')).toEqual([
      { kind_2: 'in' },
      { kind_2: 'out' },
      { kind_2: 'in' },
    ]);
    expect(readRegistry()).toEqual(['001_open_accounts', '002_release']);
    expect(await git('status', '--porcelain')).toBe('?? "note of the operator.txt"');
    // What is not the vendor's stays untouched.
    expect(statSync(at('.env'))).toMatchObject({
      ino: secret.ino,
      mtimeMs: secret.mtimeMs,
      mode: secret.mode,
    });
  });

  test('carries out every kind of change of a file', async () => {
    expect(existsSync(at('docs/added in 2 – neu.txt'))).toBe(true);
    expect(existsSync(at('docs/removed.txt'))).toBe(false);
    expect(readFileSync(at(nonAsciiDocument), 'utf8')).toBe('eins\nrelease 2\n');
    expect(statSync(at('scripts/tool.sh')).mode & 0o777).toBe(0o755);
    expect(readFileSync(at('odd/becomes-a-file'), 'utf8')).toBe('a file in 2\n');
    expect(readFileSync(at('odd/becomes-a-folder/inside.txt'), 'utf8')).toBe('inside in 2\n');
    expect(readlinkSync(at('docs/link'))).toBe('größe.txt');
    expect(await git('ls-files', '--deleted', '--modified')).toBe('');
    expect(await git('fsck', '--no-progress', '--no-dangling')).toBe('');
  });

  test('to what is installed already says so, and stops nothing', async () => {
    const was = await ledger.capture();
    const pids = await ledger.pids();

    const outcome = await ledger.run('update');

    expect(outcome).toMatchObject({ exitCode: 0, result: { outcome: 'current' } });
    expect(await ledger.pids()).toEqual(pids);
    expect(differences(was, await ledger.capture())).toEqual([]);
  });

  test('--to a tag goes there and no further', async () => {
    const third = await ledger.sandbox.publish(release(3), { tag: 'v3' });
    const fourth = await ledger.sandbox.publish(release(4), { tag: 'v4' });

    expect(await ledger.run('update', '--to', 'v3')).toMatchObject({ exitCode: 0, result: { to: third } });
    expect(await ledger.answeringCommit()).toBe(third);
    expect(await ledger.run('update', '--to', 'v4')).toMatchObject({ exitCode: 0, result: { to: fourth } });
    expect(await ledger.answeringCommit()).toBe(fourth);
    expect(readRegistry()).toEqual(['001_open_accounts', '002_release', '003_release', '004_release']);
  });

  test('--dry-run shows the plan and touches nothing', async () => {
    await ledger.sandbox.publish(release(5), { tag: 'v5' });
    const was = await ledger.capture();
    const pids = await ledger.pids();

    expect(await ledger.run('update', '--dry-run')).toMatchObject({ exitCode: 0 });
    expect(await ledger.pids()).toEqual(pids);
    expect(differences(was, await ledger.capture())).toEqual([]);
  });
});

function readRegistry(): string[] {
  const registry = JSON.parse(readFileSync(at('api/data-migrations/registry.json'), 'utf8')) as {
    migrations: { id: string }[];
  };
  return registry.migrations.map(({ id }) => id);
}
