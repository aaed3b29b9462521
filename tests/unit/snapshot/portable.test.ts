import { cpSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, expect, test } from 'vitest';
import type { Copies, Database } from '../../../orchestrator/database/engine.ts';
import { holdsDump } from '../../../orchestrator/snapshot/manifest.ts';
import { makePortable } from '../../../orchestrator/snapshot/portable.ts';
import { verifySnapshot } from '../../../orchestrator/snapshot/store.ts';
import { seal } from '../../support/sealed-snapshot.ts';
import { cutShort } from '../support/cut-short.ts';
import { factsWith } from '../support/facts.ts';
import { folderInMemory } from '../support/temporary-folder.ts';

const volume = 'ledger-postgres.backup-s1';
const bytes = 'the rows of then';

let folder: string;
beforeEach(() => {
  folder = seal(folderInMemory(), 's1', { volume, database: factsWith() }, { 'files.tar.zst': 'f' });
});

/** An appliance whose storage has these copies; what it dumps is what the copies hold. */
function storing(...names: string[]): { database: Database; dumps: string[] } {
  const dumps: string[] = [];
  const copies: Pick<Copies, 'has' | 'dump'> = {
    has: async (name) => await Promise.resolve(names.includes(name)),
    dump: async (name, _facts, file) => {
      await Promise.resolve();
      dumps.push(name);
      writeFileSync(file, bytes);
    },
  };
  return { database: { copies } as unknown as Database, dumps };
}

const isWhole = async () => {
  const manifest = await verifySnapshot(folder);
  expect(holdsDump(manifest)).toBe(true);
  expect(readFileSync(join(folder, 'database.dump'), 'utf8')).toBe(bytes);
  expect(statSync(join(folder, 'database.dump')).mode & 0o777).toBe(0o600);
  expect(readdirSync(folder).toSorted()).toEqual(
    ['database.dump', 'files.tar.zst', 'manifest.json', 'manifest.sha256'].toSorted(),
  );
};

test('a snapshot of a copied volume gets its dump, once', async () => {
  await verifySnapshot(folder);
  const appliance = storing(volume);
  expect(await makePortable(appliance, folder)).toBe(true);
  await isWhole();
  expect(await makePortable(appliance, folder)).toBe(false);
  expect(appliance.dumps).toEqual([volume]);
});

test('it is left as it is where its volume is gone, or its manifest is another than the sealed one', async () => {
  const before = readdirSync(folder);
  await expect(makePortable(storing('another'), folder)).rejects.toThrow(
    `cannot make a dump for the snapshot s1: the volume ${volume} is gone`,
  );
  const manifest = join(folder, 'manifest.json');
  writeFileSync(manifest, readFileSync(manifest, 'utf8').replace('"label"', ' "label"'));
  await expect(makePortable(storing(volume), folder)).rejects.toThrow('is not what was sealed');
  expect(readdirSync(folder)).toEqual(before);
});

test('what was damaged before is still seen as damaged after it', async () => {
  writeFileSync(join(folder, 'files.tar.zst'), 'g');
  await makePortable(storing(volume), folder);
  await expect(verifySnapshot(folder)).rejects.toThrow('files.tar.zst was changed');
});

test('killed at any instant, it leaves a whole snapshot, and the next call goes on', async () => {
  const then = `${folder}.then`;
  cpSync(folder, then, { recursive: true });
  let instants = 0;
  while (await cutShort(instants, async () => void (await makePortable(storing(volume), folder)))) {
    await verifySnapshot(folder);
    await makePortable(storing(volume), folder);
    await isWhole();
    rmSync(folder, { recursive: true });
    cpSync(then, folder, { recursive: true });
    instants += 1;
  }
  expect(instants).toBeGreaterThan(5);
});

test('a dump that nobody sealed, beside a manifest of another kind, belongs to nobody', async () => {
  folder = seal(folderInMemory(), 's2', {}, { 'files.tar.zst': 'f' });
  writeFileSync(join(folder, 'database.dump.unfinished'), '');
  await expect(verifySnapshot(folder)).rejects.toThrow('database.dump.unfinished does not belong to it');
});
