import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { administrator, readCredentials } from '../../orchestrator/database/cluster.ts';
import { findPostgresBinaries } from '../../orchestrator/database/binaries.ts';
import { libpqEnvironment } from '../../orchestrator/database/connection.ts';
import { Ledger } from '../support/ledger.ts';
import { schemaMigration, type Edit } from '../support/releases.ts';

/*
 * How long a rehearsal takes, against what a careful operator does by hand: dump, restore beside it, run the SQL.
 *
 *     ./run.sh bench rehearsal [MB]        (1024 by default)
 */

const megabytes = Number(process.argv[2] ?? 1024);
/** A row of ours with its header and its index. */
const rowBytes = 700;
const coming = `alter table ballast add column kind text not null default 'plain';
create index ballast_kind on ballast (kind, id);`;

const withTable: Edit = (folder) => {
  schemaMigration(folder, '0002_ballast', 'create table ballast (id bigint primary key, payload text);');
};
const withMore: Edit = (folder) => {
  schemaMigration(folder, '0003_kind', coming);
};

async function timed(work: () => Promise<unknown>): Promise<number> {
  const startedAt = performance.now();
  await work();
  return (performance.now() - startedAt) / 1000;
}

/** The same by hand, with the same programs and as many jobs. */
async function byHand(ledger: Ledger, scratch: string): Promise<number> {
  const { port, adminPassword } = readCredentials(ledger.open().state.postgres);
  const server = { host: '127.0.0.1', port, user: administrator, password: adminPassword, parameters: {} };
  const env = libpqEnvironment({ ...server, database: 'ledger' }, 'bench');
  const bin = findPostgresBinaries(['pg_dump', 'pg_restore', 'psql']) ?? '';
  const run = async (name: string, ...args: string[]) => await execa(join(bin, name), args, { env });
  const file = join(scratch, 'by-hand.dump');
  return await timed(async () => {
    await run('pg_dump', '--format=custom', '--compress=1', `--file=${file}`);
    await run('createdb', 'by_hand');
    await run('pg_restore', '--jobs=2', '--dbname=by_hand', file);
    await run('psql', '--quiet', '--dbname=by_hand', '--command', coming);
    await run('dropdb', 'by_hand');
  });
}

// On a folder of its own nothing of the server's durability is switched off.
const parent = mkdtempSync(join(tmpdir(), 'rehearsal-'));
let ledger: Ledger | undefined;
try {
  ledger = await Ledger.install({ parent });
  const installed = await ledger.sandbox.publish(withTable, { tag: 'v2' });
  await ledger.succeed('update');
  const rows = Math.round((megabytes * 1024 * 1024) / rowBytes);
  // Texts that do not compress away.
  await ledger.sql(`insert into ballast select i, (select string_agg(md5((i * 20 + j)::text), '') from generate_series(1, 19) j)
    from generate_series(1, ${rows}) i`);
  await ledger.sql('checkpoint');
  await ledger.sandbox.publish(withMore, { onto: installed, tag: 'v3' });
  const [size] = await ledger.sql(`select pg_size_pretty(pg_database_size('ledger')) as size`);

  const hand = await byHand(ledger, parent);

  const one = ledger;
  const rehearsal = await timed(async () => await one.succeed('rehearse'));
  const update = await timed(async () => await one.succeed('update', '--to', 'v3'));

  console.log(`a database of ${String(size?.['size'])}, ${rows.toLocaleString('en')} rows`);
  console.log(`by hand: dump, restore, SQL   ${hand.toFixed(1).padStart(7)} s   1.00`);
  console.log(
    `rehearse                      ${rehearsal.toFixed(1).padStart(7)} s   ${(rehearsal / hand).toFixed(2)}   the appliance served meanwhile`,
  );
  console.log(
    `the update itself             ${update.toFixed(1).padStart(7)} s   ${(update / hand).toFixed(2)}   its snapshot with it`,
  );
} finally {
  await ledger?.destroy();
  rmSync(parent, { recursive: true, force: true });
}
