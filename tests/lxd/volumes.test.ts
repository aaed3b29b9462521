import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import * as broken from '../support/broken-releases.ts';
import { lxc, lxdEnvironment, testPool } from '../support/lxd-host.ts';
import { Ledger } from '../support/ledger.ts';
import { release } from '../support/releases.ts';
import { differences } from '../support/state.ts';
import { isThorough } from '../support/thoroughness.ts';

/* The database of an appliance in containers lies on a volume that its pool copies at no cost. */

const why = inject('whyNoLxd');
let ledger: Ledger;
let installed: string;

const volumes = async () => {
  const { name } = ledger.open().config;
  const listed = await lxc('storage', 'volume', 'list', testPool, '--format=csv', '--columns=tn');
  return listed
    .split('\n')
    .flatMap((line) => /^custom,(.*)$/.exec(line)?.[1] ?? [])
    .filter((one) => one.startsWith(`${name}-postgres`))
    .map((one) => one.slice(`${name}-postgres`.length));
};
const snapshot = (run: unknown) => {
  const folder = join(ledger.open().backupsDirectory, String(run));
  return JSON.parse(readFileSync(join(folder, 'manifest.json'), 'utf8')) as {
    volume?: string;
    parts: { name: string }[];
  };
};
const hasDump = (run: unknown) => snapshot(run).parts.some(({ name }) => name === 'database.dump');

describe.skipIf(why !== '')('the volume of the database', () => {
  let first: unknown;

  beforeAll(async () => {
    Object.assign(process.env, lxdEnvironment);
    ledger = await Ledger.install({ lxd: true });
  });

  afterAll(async () => {
    await ledger?.destroy();
  });

  test('is copied in the window of an update; the dump comes after the commit, whole', async () => {
    installed = await ledger.sandbox.publish(release(2), { tag: 'v2' });
    const updated = await ledger.run('update');
    expect(updated).toMatchObject({ exitCode: 0, error: '', result: { warnings: [] } });
    first = updated.result?.['run'];
    expect(snapshot(first).volume).toMatch(new RegExp(`\\.backup-${String(first)}$`));
    expect(hasDump(first)).toBe(true);
    expect(await volumes()).toEqual(['', `.backup-${String(first)}`]);
    expect(await ledger.run('backup', 'verify', '--deep')).toMatchObject({ exitCode: 0 });
    const archive = join(ledger.sandbox.root, 'exported.tar.zst');
    expect(await ledger.run('backup', 'export', String(first), archive)).toMatchObject({ exitCode: 0 });
  });

  test('a failed update puts a copy of the copy in its place, and keeps the one that failed aside', async () => {
    await ledger.sandbox.publish(broken.badDataMigration, { onto: installed });
    const was = await ledger.capture();
    const failed = await ledger.run('update');
    expect(failed).toMatchObject({ exitCode: 10, result: { outcome: 'restored' } });
    expect(differences(was, await ledger.capture())).toEqual([]);
    const run = String(failed.result?.['run']);
    expect(await volumes()).toEqual(['', `.backup-${String(first)}`, `.backup-${run}`, `.data-${run}-back`]);
    expect(hasDump(run)).toBe(false);
    // It is as sound as the others, and no reason for an alarm.
    expect(await ledger.run('backup', 'verify', '--deep')).toMatchObject({ exitCode: 0, error: '' });
    expect(await ledger.run('backup', 'export', run, join(ledger.sandbox.root, 'x'))).toMatchObject({
      ...{ exitCode: 3, next: './run.sh backup create makes a new one, which can be exported' },
    });
  });

  test.runIf(isThorough)('a server that does not start any more is no obstacle to it', async () => {
    const { name } = ledger.open().config;
    const spoil = `systemctl stop holdfast-postgres; echo "shared_preload_libraries = 'nonesuch'" >>/var/lib/postgresql/holdfast/postgresql.auto.conf`;
    await ledger.sandbox.publish(release(3), { onto: installed });
    const was = await ledger.capture();
    const failed = await ledger.failing(
      {
        ...{ step: 'migrate-data', operation: /data-migrations/, when: 'before' },
        does: async () => await lxc('exec', `${name}-postgres`, '--', 'sh', '-c', spoil),
      },
      'update',
    );
    expect(failed).toMatchObject({ exitCode: 10, result: { outcome: 'restored' } });
    expect(differences(was, await ledger.capture())).toEqual([]);
  });

  test.runIf(isThorough)(
    'a rollback without safety that fails takes back the very volume that it set aside',
    async () => {
      await ledger.post('since', 1);
      const was = await ledger.capture();
      const failed = await ledger.failing(
        { step: 'restart-services', operation: /holdfast-api\.service/, when: 'after' },
        ...['rollback', String(first), '--without-safety'],
      );
      expect(failed).toMatchObject({ exitCode: 10, result: { outcome: 'restored' } });
      expect(differences(was, await ledger.capture())).toEqual([]);
    },
  );

  test.runIf(isThorough)(
    'with another database on the server, which a volume would take back as well, a rollback takes the dump',
    async () => {
      await ledger.sql('create database somebody');
      const rolledBack = await ledger.run('rollback', '--yes');
      expect(rolledBack).toMatchObject({ exitCode: 0, error: '' });
      const run = String(rolledBack.result?.['run']);
      expect(hasDump(run)).toBe(true);
      expect(snapshot(run).volume).toBeUndefined();
      expect(await volumes()).not.toContain(`.data-${run}`);
      await ledger.sql('drop database somebody');
      expect(await ledger.run('rollback', '--undo', '--yes')).toMatchObject({ exitCode: 0 });
    },
  );

  test('killed between the two halves of the change, the next command makes it whole', async () => {
    const { volumes: places, ...runtime } = ledger.open().runtime;
    expect(runtime.name).toBe('lxd');
    const other = (await places?.copy(places.live(), 'data-half')) ?? '';
    await ledger.sql('create table public.since ()');
    const file = join(ledger.open().state.postgres, 'volume.json');
    expect(existsSync(file)).toBe(true);
    writeFileSync(file, JSON.stringify({ live: other, aside: [] }));
    expect(await ledger.run('start')).toMatchObject({ exitCode: 0 });
    expect(await places?.isInPlace()).toBe(true);
    expect(await ledger.sql("select to_regclass('public.since') as since")).toEqual([{ since: null }]);
  });

  test.runIf(isThorough)('is known without the state directory, whose mounts are made anew', async () => {
    const { state, runtime } = ledger.open();
    const [live, notes] = [runtime.volumes?.live(), await ledger.notes()];
    expect(live).toContain('.data-');
    await ledger.succeed('stop');
    rmSync(state.path, { recursive: true });
    await ledger.succeed('setup');
    expect(ledger.open().runtime.volumes?.live()).toBe(live);
    expect(await ledger.notes()).toEqual(notes);
    // The copies that are there have the administrator's password of before.
    expect(await ledger.run('backup', 'create')).toMatchObject({ exitCode: 0, result: { warnings: [] } });
  });

  test('that is empty is no new appliance: nobody makes a database in the place of the one that is gone', async () => {
    await lxc('storage', 'volume', 'create', testPool, `${ledger.open().config.name}-postgres.data-empty`);
    const file = join(ledger.open().state.postgres, 'volume.json');
    const was = readFileSync(file, 'utf8');
    writeFileSync(
      file,
      JSON.stringify({ live: `${ledger.open().config.name}-postgres.data-empty`, aside: [] }),
    );
    expect(await ledger.run('start')).toMatchObject({
      exitCode: 3,
      error: expect.stringContaining('the database is gone: there is none on the volume'),
    });
    writeFileSync(file, was);
    expect(await ledger.run('start')).toMatchObject({ exitCode: 0 });
  });
});
