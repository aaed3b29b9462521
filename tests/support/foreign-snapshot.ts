import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Manifest } from '../../orchestrator/snapshot/manifest.ts';
import type { Ledger } from './ledger.ts';
import { reseal } from './sealed-snapshot.ts';

/**
 * Makes an imported snapshot one of a host like this: its database server was another one, and the packages and builds
 * that it names are not here.
 */
export function asOfAnotherHost(ledger: Ledger, folder: string): void {
  const path = join(folder, 'manifest.json');
  const manifest = JSON.parse(readFileSync(path, 'utf8')) as Manifest;
  for (const { key } of manifest.products)
    rmSync(join(ledger.open().state.products, key), { recursive: true, force: true });
  const { database } = manifest;
  const there = {
    ...manifest,
    database: database && { ...database, systemIdentifier: '7000000000000000001', oid: 5 },
  };
  writeFileSync(path, `${JSON.stringify(there, null, 2)}\n`);
  reseal(folder);
}
