import type { Appliance } from '../appliance/appliance.ts';
import { HoldfastError, messageOf } from '../lib/errors.ts';
import { formatDuration } from '../lib/units.ts';
import type { Finding } from '../schema-migrations/lint/finding.ts';
import type { Linted } from '../schema-migrations/lint/lint.ts';
import { listSnapshots, verifySnapshot } from '../snapshot/store.ts';
import { filesAt } from '../tools/git-facts.ts';
import { dataMigrationFiles, pendingDataMigrations, readDataMigrationStates } from './data-pending.ts';
import { readLastRehearsal } from './last-rehearsal.ts';
import type { Target } from './step.ts';

export const checklistGroups = ['schema', 'compatibility', 'performance', 'safety', 'testing'] as const;
type Group = (typeof checklistGroups)[number];

/** One line of the list that is gone through before migrations meet real rows. */
export interface ChecklistItem {
  readonly group: Group;
  readonly what: string;
  /** `ok`, `warning` and `failed` were found by machine; `open` is for a person to answer. */
  readonly state: 'ok' | 'warning' | 'failed' | 'open';
  /** What was found. */
  readonly found?: string | undefined;
  /** The command that mends it, or how to check it. */
  readonly next?: string | undefined;
}

/** What a look has found. */
type Found = Pick<ChecklistItem, 'state' | 'found' | 'next'>;

/** @param look finds what is wrong, or throws it; nothing where all is well */
export async function check(
  group: Group,
  what: string,
  look: () => Found | undefined | void | Promise<Found | undefined | void>,
): Promise<ChecklistItem> {
  try {
    return { group, what, ...((await look()) ?? { state: 'ok' }) };
  } catch (error) {
    const next = error instanceof HoldfastError ? error.next : undefined;
    return { group, what, state: 'failed', found: messageOf(error), next };
  }
}

export function byHand(group: Group, what: string, next: string): ChecklistItem {
  return { group, what, state: 'open', next };
}

/** What the lint says: errors fail, warnings warn, what is accepted is told. */
export function judged(
  group: Group,
  what: string,
  findings: readonly Finding[],
  next: string,
  alsoFailing: readonly Finding[] = [],
): ChecklistItem {
  const open = findings.filter(({ accepted }) => accepted === undefined);
  const failing = [...new Set([...alsoFailing, ...open.filter(({ severity }) => severity === 'error')])];
  const warning = open.filter(({ severity }) => severity === 'warning');
  const accepted = findings.length - open.length;
  const [first] = failing.length > 0 ? failing : warning;
  if (first) {
    const more = (failing.length > 0 ? failing : warning).length - 1;
    const found = `${first.migration} ${first.message} [${first.rule}]${more === 0 ? '' : `, and ${more} more`}`;
    return { group, what, state: failing.length > 0 ? 'failed' : 'warning', found, next };
  }
  return {
    group,
    what,
    state: 'ok',
    ...(accepted === 0 ? {} : { found: `${accepted} accepted in the file` }),
  };
}

export function wayBack(ours: readonly Linted[], required: boolean): ChecklistItem {
  const without = ours
    .filter(({ migration, directives }) => migration.down === undefined && directives.rollback.length === 0)
    .map(({ migration }) => migration.name);
  const what = 'each pending migration brings its way back (down.sql, or -- Rollback:)';
  if (without.length === 0) return { group: 'schema', what, state: 'ok' };
  const found = `without: ${without.join(', ')}`;
  const next = `./run.sh migrate generate-down ${without[0]}`;
  return { group: 'schema', what, state: required ? 'failed' : 'warning', found, next };
}

export function breaking(ours: readonly Linted[]): ChecklistItem {
  const lines = ours.flatMap(({ migration, directives }) =>
    directives.breaking.map((line) => `${migration.name}: ${line}`),
  );
  const what = 'nothing is announced as BREAKING';
  if (lines.length === 0) return { group: 'compatibility', what, state: 'ok' };
  const next = 'see to it that whoever is concerned knows';
  return { group: 'compatibility', what, state: 'open', found: lines.join('; '), next };
}

export function rehearsed(appliance: Appliance, target: Target, pending: number, to: string): ChecklistItem {
  const about = { group: 'performance', what: 'rehearsed on the rows of this appliance' } as const;
  const last = readLastRehearsal(appliance);
  const next = `./run.sh rehearse${to}`;
  if (last?.commit !== target.commit)
    return pending === 0
      ? { ...about, state: 'ok', found: 'nothing is pending' }
      : { ...about, state: 'open', ...(last ? { found: `${last.label} was, on ${last.at}` } : {}), next };
  return last.ok
    ? { ...about, state: 'ok', found: `${last.label} came through on ${last.at}` }
    : { ...about, state: 'failed', found: `${last.label} did not come through on ${last.at}`, next };
}

export async function snapshotItem({ backupsDirectory }: Appliance): Promise<ChecklistItem> {
  return await check('safety', 'a whole snapshot', async () => {
    const [newest] = listSnapshots(backupsDirectory);
    if (!newest?.manifest)
      return { state: 'failed', found: newest?.problem ?? 'there is none', next: './run.sh backup create' };
    await verifySnapshot(newest.folder);
    const ageMs = Date.now() - Date.parse(newest.manifest.createdAt);
    return { state: 'ok', found: `${newest.id}, every byte read, ${formatDuration(Math.max(0, ageMs))} old` };
  });
}

export async function dataItem(appliance: Appliance, { commit, config }: Target): Promise<ChecklistItem> {
  return await check('testing', 'the pending data migrations were tried', async () => {
    const dir = config.prisma?.dataMigrations?.dir;
    if (dir === undefined) return { state: 'ok', found: 'there are none' };
    const paths = await filesAt(appliance.runtime, appliance.directory, commit, dir);
    const states = await readDataMigrationStates({ ...appliance, config });
    const pending = pendingDataMigrations(dataMigrationFiles(paths, dir), states);
    const failed = pending.find((id) => states.get(id) === 'FAILED');
    if (failed !== undefined)
      return { state: 'failed', found: `${failed} failed`, next: `./run.sh data retry ${failed}` };
    if (pending.length === 0) return { state: 'ok', found: 'none is pending' };
    return {
      state: 'open',
      found: pending.join(', '),
      next: './run.sh data run --dry-run, or ./run.sh rehearse',
    };
  });
}
