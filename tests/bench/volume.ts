import { join } from 'node:path';
import { tryReadJournal } from '../../orchestrator/pipeline/journal.ts';
import { badDataMigration } from '../support/broken-releases.ts';
import { Ledger } from '../support/ledger.ts';
import { lxdEnvironment, removeLxd, startLxd, testPool, whyNoLxd } from '../support/lxd-host.ts';

/*
 * What a copy of the database's volume saves an update that fails, against the dump that is taken elsewhere: how long the
 * backup and the restore of the database take, and how long the appliance is away.
 *
 *     ./run.sh bench volume [MB]        (1024 by default; root, on a machine where LXD can run)
 */

const megabytes = Number(process.argv[2] ?? 1024);
/** A row with its header and its index. */
const rowBytes = 300;

interface Measured {
  readonly backup: number;
  readonly restore: number;
  readonly outage: number;
}

async function failedUpdate(ledger: Ledger): Promise<Measured> {
  await ledger.sandbox.publish(badDataMigration);
  const { exitCode, result, error } = await ledger.run('update');
  if (exitCode !== 10) throw new Error(`the update was to be restored, and ended with ${exitCode}: ${error}`);
  const records =
    tryReadJournal(join(ledger.open().state.run(String(result?.['run'])), 'journal.ndjson')) ?? [];
  const at = (wanted: Readonly<Record<string, string>>) => {
    const found = records.findLast((record) =>
      Object.entries(wanted).every(([key, value]) => (record as Record<string, unknown>)[key] === value),
    );
    return Date.parse(found?.at ?? '');
  };
  const step = { step: 'backup-database', half: 'apply' };
  const phase = { type: 'restore-phase', phase: 'database' };
  return {
    backup: at({ type: 'step-finished', ...step }) - at({ type: 'step-started', ...step }),
    restore: at({ ...phase, state: 'finished' }) - at({ ...phase, state: 'started' }),
    outage: Number(result?.['outageMs']),
  };
}

const why = await whyNoLxd();
if (why !== undefined) throw new Error(`cannot measure: LXD ${why}`);
Object.assign(process.env, lxdEnvironment);
await startLxd();
let ledger: Ledger | undefined;
try {
  ledger = await Ledger.install({ lxd: true });
  await ledger.sql(`create table public.ballast as select id, (select string_agg(md5((id * 20 + j)::text), '') from generate_series(1, 7) j) payload
    from generate_series(1, ${Math.round((megabytes * 1024 * 1024) / rowBytes)}) id`);
  await ledger.sql('alter table public.ballast add primary key (id)');
  await ledger.sql('checkpoint');
  const [size] = await ledger.sql(`select pg_size_pretty(pg_database_size('ledger')) as size`);
  const byVolume = await failedUpdate(ledger);
  // With somebody else's database on the server a volume would take that one back as well: so it is the dump.
  await ledger.sql('create database somebody');
  const byDump = await failedUpdate(ledger);
  console.log(
    `a database of ${String(size?.['size'])} in the pool ${testPool}; a release whose data migration fails`,
  );
  console.log('                       dump    volume');
  for (const what of ['backup', 'restore', 'outage'] as const) {
    const [dump, volume] = [byDump[what] / 1000, byVolume[what] / 1000];
    console.log(
      `${what.padEnd(16)} ${dump.toFixed(1).padStart(8)} s ${volume.toFixed(1).padStart(7)} s   ${(volume / dump).toFixed(2)}`,
    );
  }
} finally {
  await ledger?.destroy();
  await removeLxd();
}
