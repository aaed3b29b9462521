import fc from 'fast-check';
import {
  copyFileSync,
  cpSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Cli } from '../support/cli.ts';
import * as broken from '../support/broken-releases.ts';
import { tally } from '../support/fault-tally.ts';
import { damaged, flip } from '../support/damaged.ts';
import { Ledger } from '../support/ledger.ts';
import { needs } from '../support/needs.ts';
import { leftOf, unfinishedRun } from '../support/left-behind.ts';
import { release } from '../support/releases.ts';
import { reseal } from '../support/sealed-snapshot.ts';
import { differences } from '../support/state.ts';

/*
 * Snapshots that a disk or a person damaged: verify finds it wherever it is, and neither rollback nor recovery takes
 * one for a whole one. Two releases, hence snapshots of v1 and v2.
 */

let ledger: Ledger;
/** Of v1 and of v2, made by the updates from there; and a third, made by hand, which stays whole. */
let first: string;
let second: string;
let spare: string;
const folderOf = (id: string) => join(ledger.directory, 'backups', id);

beforeAll(async () => {
  ledger = await Ledger.install();
  for (const number of [2, 3]) {
    await ledger.sandbox.publish(release(number), { tag: `v${number}` });
    await ledger.succeed('update');
  }
  await ledger.succeed('backup', 'create');
  [spare = '', second = '', first = ''] = readdirSync(join(ledger.directory, 'backups'))
    .filter((name) => !name.startsWith('.'))
    .toSorted()
    .toReversed();
});

afterAll(async () => {
  await ledger?.destroy();
});

const whileDamaged = async <T>(id: string, damage: (folder: string) => void, look: () => Promise<T>) =>
  await damaged(folderOf(id), join(ledger.sandbox.root, `kept ${id}`), damage, look);

describe('backup verify finds', () => {
  test('a byte flipped anywhere, a file cut anywhere, a part gone, exchanged or added, in any file of it', async (context) => {
    const names = readdirSync(folderOf(first));
    expect(names).toEqual(
      expect.arrayContaining([
        'RESTORE.md',
        'database.dump',
        'files.tar.zst',
        'inventory.ndjson',
        'manifest.json',
        'manifest.sha256',
      ]),
    );
    const kinds = fc.constantFrom('flip', 'cut', 'remove', 'exchange', 'empty', 'stray');
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...names),
        kinds,
        fc.nat(),
        fc.integer({ min: 1, max: 255 }),
        async (name, kind, at, bits) => {
          const damage = (folder: string) => {
            const path = join(folder, name);
            if (kind === 'flip') flip(path, at, bits);
            else if (kind === 'cut') truncateSync(path, at % statSync(path).size);
            else if (kind === 'remove') rmSync(path);
            else if (kind === 'exchange')
              writeFileSync(
                path,
                Buffer.concat([readFileSync(join(folderOf(second), name)), Buffer.from(' ')]),
              );
            else if (kind === 'empty') truncateSync(path, 0);
            else writeFileSync(join(folder, `${name}~`), '');
          };
          const found = await whileDamaged(
            first,
            damage,
            async () => await ledger.run('backup', 'verify', first),
          );
          expect(found.exitCode, `${kind} ${name}`).not.toBe(0);
          const told = found.error || JSON.stringify(found.result);
          // A manifest that cannot be read is told by what is wrong with it.
          expect(told, `${kind} ${name}`).toMatch(name.startsWith('manifest') ? /manifest/ : name);
          tally(context, 'unchanged');
        },
      ),
      { numRuns: 60 },
    );
    expect(await ledger.run('backup', 'verify')).toMatchObject({ exitCode: 0 });
  });

  test.each<[string, (folder: string) => void, RegExp]>([
    [
      'a manifest from a newer format',
      (folder) => newerFormat(folder),
      /its format is 2, and this version reads formats up to 1/,
    ],
    [
      'an empty manifest',
      (folder) => writeFileSync(join(folder, 'manifest.json'), ''),
      /its manifest is not JSON/,
    ],
    [
      'a folder under another name',
      (folder) => cpSync(folderOf(second), folder, { recursive: true }),
      /manifest\.json is that of/,
    ],
    [
      'a part of another snapshot',
      (folder) => copyFileSync(join(folderOf(second), 'database.dump'), join(folder, 'database.dump')),
      /database\.dump/,
    ],
  ])('%s', async (_what, damage, why) => {
    const found = await whileDamaged(first, damage, async () => await ledger.run('backup', 'verify'));
    expect(found.exitCode).toBe(3);
    expect(JSON.stringify(found.result)).toMatch(why);
    expect(found.result?.['snapshots']).toContainEqual({ id: second, ok: true });
  });
});

function newerFormat(folder: string): void {
  const path = join(folder, 'manifest.json');
  writeFileSync(path, readFileSync(path, 'utf8').replace('"format": 1', '"format": 2'));
}

describe('deep', () => {
  test('every dump is restored on trial and counted; nothing is left of it', async () => {
    expect(await ledger.run('backup', 'verify', '--deep')).toMatchObject({ exitCode: 0 });
    expect(await ledger.database.scratchDatabases()).toEqual([]);
  });

  test('a dump that brings back other rows than the manifest says is found', async () => {
    // What is damaged before the seal has the right checksum.
    const damage = (folder: string) => {
      const at = (name: string) => join(folder, name);
      const manifest = readFileSync(at('manifest.json'), 'utf8').replace(
        /("name": "(?:public\.)?entries",\s+"rows": )\d+/,
        '$141',
      );
      writeFileSync(at('manifest.json'), manifest);
      reseal(folder);
    };
    const found = await whileDamaged(first, damage, async () => [
      await ledger.run('backup', 'verify', first),
      await ledger.run('backup', 'verify', first, '--deep'),
    ]);
    expect(found.map(({ exitCode }) => exitCode)).toEqual([0, 3]);
    expect(JSON.stringify(found[1]?.result)).toMatch(/table (?:public\.)?entries: 41 rows became 4 rows/);
    expect(await ledger.database.scratchDatabases()).toEqual([]);
  });

  test('killed in its middle: prune drops the scratch database', async (context) => {
    // A file of SQLite is looked into where it lies.
    needs(context, 'postgresql');
    const cli = Cli.start(ledger, 'backup', 'verify', first, '--deep');
    await untilScratch();
    await cli.kill();
    expect(await ledger.database.scratchDatabases()).not.toEqual([]);
    expect(await Cli.run(ledger, 'backup', 'prune')).toMatchObject({ exitCode: 0 });
    expect(await ledger.database.scratchDatabases()).toEqual([]);
    tally(context, 'unchanged');
  });
});

async function untilScratch(): Promise<void> {
  for (let round = 0; round < 5000; round += 1)
    if ((await ledger.database.scratchDatabases()).length > 0) return;
  throw new Error('there never was a scratch database');
}

describe('a damaged snapshot is not restored', () => {
  test('rollback refuses, names the part and the snapshot to take instead', async (context) => {
    const was = await ledger.capture();
    const outcome = await whileDamaged(
      second,
      (folder) => flip(join(folder, 'database.dump'), 4000, 1),
      async () => await ledger.run('rollback'),
    );
    expect(outcome).toMatchObject({
      exitCode: 3,
      error: expect.stringContaining('database.dump was changed'),
    });
    expect(outcome.next).toMatch(`./run.sh rollback ${spare}`);
    expect(differences(was, await ledger.capture())).toEqual([]);
    tally(context, 'unchanged');
  });

  test('where all are damaged, it says that there is none', async (context) => {
    const was = await ledger.capture();
    const damage = (folder: string) => truncateSync(join(folder, 'files.tar.zst'), 100);
    const outcome = await whileDamaged(
      second,
      damage,
      async () =>
        await whileDamaged(first, damage, async () => {
          renameSync(folderOf(spare), join(ledger.sandbox.root, 'spare'));
          try {
            return await ledger.run('rollback');
          } finally {
            renameSync(join(ledger.sandbox.root, 'spare'), folderOf(spare));
          }
        }),
    );
    expect(outcome).toMatchObject({
      exitCode: 3,
      error: expect.stringContaining('files.tar.zst has 100 bytes'),
    });
    expect(outcome.next).toMatch(/there is no other good snapshot here/);
    expect(differences(was, await ledger.capture())).toEqual([]);
    tally(context, 'unchanged');
  });

  test('nor by the recovery of a killed update: exit 11, and with a whole copy in its place recover goes on', async (context) => {
    await ledger.sandbox.publish(broken.waitsInDataMigration);
    const was = await ledger.capture();
    const cli = Cli.start(ledger, 'update');
    await cli.reached('migrate-schema', 'apply', 'finished');
    await cli.kill();
    const { run } = unfinishedRun(ledger);
    const refused = await whileDamaged(
      run,
      (folder) => flip(join(folder, 'files.tar.zst'), 999, 4),
      async () => await Cli.run(ledger, 'recover'),
    );
    expect(refused).toMatchObject({ exitCode: 11 });
    expect(refused.result?.['error']).toMatch(/files\.tar\.zst was changed/);
    expect(refused.result?.['next']).toMatch(
      new RegExp(`put a whole copy .*${run}.* or go back to ${spare}`),
    );

    expect(await Cli.run(ledger, 'recover')).toMatchObject({ exitCode: 10, result: { identical: true } });
    expect(differences(was, await ledger.capture())).toEqual([]);
    expect(await leftOf(ledger, run)).toEqual([]);
    tally(context, 'restored');
  });
});
