import { spawnSync } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { expect, test } from 'vitest';
import {
  besideFolder,
  databaseFile,
  inodeOf,
  listSetAside,
  newName,
  oldName,
  presentCompanions,
} from '../../../orchestrator/database/sqlite/places.ts';
import { swapFiles } from '../../../orchestrator/database/sqlite/swap.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

/** A database whose last rows lie in its log only, as after a kill. */
function withLog(file: string, table: string): void {
  const source = `${file}.source`;
  const database = new DatabaseSync(source);
  database.exec(`pragma journal_mode = wal; pragma wal_autocheckpoint = 0; create table ${table} (i);`);
  database.exec(`pragma wal_checkpoint(truncate); insert into ${table} values (1), (2);`);
  copyFileSync(source, file);
  copyFileSync(`${source}-wal`, `${file}-wal`);
  database.close();
}

function tablesIn(file: string): Record<string, number> {
  const database = new DatabaseSync(file);
  try {
    expect(database.prepare('pragma integrity_check').get()).toEqual({ integrity_check: 'ok' });
    const names = database.prepare("select name from sqlite_schema where type = 'table'").all();
    return Object.fromEntries(
      names.map(({ name }) => [
        String(name),
        Number(database.prepare(`select count(*) as n from ${String(name)}`).get()?.['n']),
      ]),
    );
  } finally {
    database.close();
  }
}

function prepare() {
  const folder = temporaryFolder();
  const file = join(folder, 'app.db');
  withLog(file, 'old');
  mkdirSync(besideFolder(file));
  const incoming = join(besideFolder(file), newName('run'));
  const database = new DatabaseSync(incoming);
  database.exec('create table restored (i); insert into restored values (1)');
  database.close();
  return { file, incoming, pair: { live: inodeOf(file), replacement: inodeOf(incoming) } };
}

/** The same in a process that kills itself before its Nth change of the file system. Returns whether it came so far. */
function killedAt(count: number, file: string, pair: object, run = 'run'): boolean {
  const swap = join(import.meta.dirname, '../../../orchestrator/database/sqlite/swap.ts');
  const script = `
    import fs from 'node:fs';
    import { syncBuiltinESMExports } from 'node:module';
    let left = ${count};
    for (const name of ['renameSync', 'rmSync', 'openSync', 'mkdirSync']) {
      const real = fs[name];
      fs[name] = (...args) => {
        left -= 1;
        if (left < 0) process.kill(process.pid, 'SIGKILL');
        return real(...args);
      };
    }
    syncBuiltinESMExports();
    const { swapFiles } = await import(${JSON.stringify(swap)});
    swapFiles(${JSON.stringify(file)}, ${JSON.stringify(pair)}, '${run}');`;
  const { signal, status, stderr } = spawnSync(process.execPath, ['--input-type=module', '--eval', script], {
    encoding: 'utf8',
  });
  if (signal !== 'SIGKILL' && status !== 0) throw new Error(stderr);
  return signal === 'SIGKILL';
}

/** What a log lies beside, where one has the live name; undefined where none has. */
function besideLog(file: string, pair: { live: number; replacement: number }): string | undefined {
  if (presentCompanions(file).length === 0) return undefined;
  const holder = inodeOf(file);
  if (holder === 0) return 'nothing';
  return holder === pair.live ? 'its own database' : 'another database';
}

test(
  'killed before any of its changes, a swap never leaves the log of the old file beside the new one, and goes on',
  { timeout: 60_000 },
  () => {
    let count = 0;
    for (; ; count += 1) {
      const { file, pair } = prepare();
      const killed = killedAt(count, file, pair);
      expect(besideLog(file, pair)).not.toBe('another database');

      swapFiles(file, pair, 'run');

      expect(inodeOf(file)).toBe(pair.replacement);
      expect(tablesIn(file)).toEqual({ restored: 1 });
      expect(tablesIn(join(besideFolder(file), oldName('run')))).toEqual({ old: 2 });
      if (!killed) break;
    }
    expect(count).toBeGreaterThan(5);
  },
);

test(
  'what comes back from a former swap brings its own log along, wherever the swap was killed',
  { timeout: 60_000 },
  () => {
    for (let count = 0; ; count += 1) {
      const { file, incoming, pair } = prepare();
      swapFiles(file, pair, 'run');
      const back = { live: pair.replacement, replacement: pair.live };
      expect(existsSync(incoming)).toBe(false);
      const killed = killedAt(count, file, back, 'run-back');

      swapFiles(file, back, 'run-back');

      expect(inodeOf(file)).toBe(pair.live);
      expect(tablesIn(file)).toEqual({ old: 2 });
      if (!killed) break;
    }
  },
);

test(
  'behind links it lies where the last one leads to, wherever the swap was killed, and takes its name there',
  { timeout: 60_000 },
  () => {
    let missing = 0;
    for (let count = 0; ; count += 1) {
      const { file, pair } = prepare();
      const checkout = temporaryFolder();
      mkdirSync(join(checkout, 'data'));
      // By way of a folder that is a link itself: what is relative in it counts from where that leads to.
      symlinkSync(dirname(file), join(checkout, 'disk'));
      symlinkSync('other.db', join(dirname(file), 'second.db'));
      symlinkSync('app.db', join(dirname(file), 'other.db'));
      symlinkSync('../disk/second.db', join(checkout, 'data/app.db'));
      const killed = killedAt(count, file, pair);
      if (!existsSync(file)) missing += 1;

      expect(databaseFile(checkout, 'data/app.db')).toBe(file);

      if (!killed) break;
    }
    expect(missing).toBeGreaterThan(0);
  },
);

test('a link that leads to itself is no way, and ends', () => {
  const folder = temporaryFolder();
  symlinkSync('app.db', join(folder, 'app.db'));

  expect(databaseFile(folder, 'app.db')).toBe(join(folder, 'app.db'));
});

test('back to where there was none, the file moves aside with its log, wherever that was killed', () => {
  for (let count = 0; ; count += 1) {
    const { file, incoming, pair } = prepare();
    renameSync(incoming, `${incoming}.unused`);
    const back = { live: pair.live, replacement: 0 };
    const killed = killedAt(count, file, back, 'run-back');

    swapFiles(file, back, 'run-back');

    expect(existsSync(file)).toBe(false);
    expect(presentCompanions(file)).toEqual([]);
    expect(tablesIn(join(besideFolder(file), oldName('run-back')))).toEqual({ old: 2 });
    if (!killed) break;
  }
});

test('a mark that another swap left behind says nothing of this one', () => {
  const { file, pair } = prepare();
  writeFileSync(join(besideFolder(file), 'arriving'), '1');
  // Killed between the rename of the file and those of its log.
  renameSync(file, join(besideFolder(file), oldName('run')));

  swapFiles(file, pair, 'run');

  expect(presentCompanions(file)).toEqual([]);
  expect(tablesIn(file)).toEqual({ restored: 1 });
  expect(tablesIn(join(besideFolder(file), oldName('run')))).toEqual({ old: 2 });
});

test('an unknown file under the name is moved aside, not adopted', () => {
  const { file, pair } = prepare();
  // Made before the other is gone: its number would be given to this one.
  writeFileSync(`${file}.other`, 'of somebody else');
  renameSync(`${file}.other`, file);
  const stranger = inodeOf(file);

  swapFiles(file, pair, 'run');

  expect(tablesIn(file)).toEqual({ restored: 1 });
  expect(inodeOf(join(besideFolder(file), `unknown-${stranger}-run`))).toBe(stranger);
});

test('nothing that was set aside is written over', () => {
  const { file, pair } = prepare();
  const earlier = join(besideFolder(file), oldName('run'));
  writeFileSync(earlier, 'of an earlier attempt');

  swapFiles(file, pair, 'run');

  expect(readFileSync(earlier, 'utf8')).toBe('of an earlier attempt');
  expect(inodeOf(join(besideFolder(file), `unknown-${pair.live}-run`))).toBe(pair.live);
});

test('what was unknown stays as long as the run that set it aside is kept', () => {
  const { file, pair } = prepare();
  writeFileSync(`${file}.other`, 'of somebody else');
  renameSync(`${file}.other`, file);
  const aside = join(besideFolder(file), `unknown-${inodeOf(file)}-run-back`);
  swapFiles(file, pair, 'run-back');
  const dropped = (runs: string[], oids: number[] = []) =>
    listSetAside(file, { runs, oids, snapshots: [] }).map(({ path }) => path);

  expect(dropped(['run'])).not.toContain(aside);
  expect(dropped([], [inodeOf(aside)])).not.toContain(aside);
  expect(dropped(['another'])).toContain(aside);
});
