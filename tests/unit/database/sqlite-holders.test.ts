import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { linkSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { expect, test } from 'vitest';
import { findHolders } from '../../../orchestrator/database/sqlite/holders.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

/** A process that opens a file and says so; with a lock of SQLite's where it is asked for one. */
async function opening(script: string) {
  const child = spawn(
    process.execPath,
    [
      '--disable-warning=ExperimentalWarning',
      '--eval',
      `${script}; console.log('open'); setInterval(() => {}, 1000)`,
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  await once(child.stdout, 'data');
  return child;
}

test('who has a database open is found by the file, and by the lock alone where its name is another', async () => {
  const folder = temporaryFolder();
  const file = join(folder, 'app.db');
  const database = new DatabaseSync(file);
  database.exec('pragma journal_mode = wal; create table t (i)');
  database.close();
  expect(findHolders(file)).toEqual([]);

  const reader = await opening(`require('node:fs').openSync(${JSON.stringify(file)})`);
  expect(findHolders(file)).toEqual([{ pid: reader.pid, title: expect.stringContaining('--eval') }]);
  reader.kill('SIGKILL');
  await once(reader, 'exit');

  // Its own name for the file is another one, so that only the kernel's list of locks tells of it.
  linkSync(file, join(folder, 'other-name'));
  const writer = await opening(
    `const d = new (require('node:sqlite').DatabaseSync)(${JSON.stringify(join(folder, 'other-name'))}); d.exec('begin immediate')`,
  );
  expect(findHolders(file).map(({ pid }) => pid)).toEqual([writer.pid]);
  writer.kill('SIGKILL');
  await once(writer, 'exit');
  expect(findHolders(file)).toEqual([]);
});
