import type { Appliance } from '../appliance/appliance.ts';
import { HoldfastError, messageOf } from '../lib/errors.ts';
import { formatDuration, plural } from '../lib/units.ts';
import { lintMigrations, readMigrations, readProvider, readRecorded } from '../schema-migrations/inspect.ts';
import type { Finding } from '../schema-migrations/lint/finding.ts';
import type { Linted } from '../schema-migrations/lint/lint.ts';
import type { RuleName } from '../schema-migrations/lint/rules.ts';
import { judge } from '../schema-migrations/lint/verdict.ts';
import { pendingMigrations } from '../schema-migrations/pending.ts';
import { isPending, schemaProblems, schemaStates } from '../schema-migrations/state.ts';
import { listSnapshots, verifySnapshot } from '../snapshot/store.ts';
import { verifySpace } from '../steps/space.ts';
import { filesAt } from '../tools/git-facts.ts';
import { describeBlocked, findBlocked } from './data-gate.ts';
import { dataMigrationFiles, pendingDataMigrations, readDataMigrationStates } from './data-pending.ts';
import { readLastRehearsal } from './last-rehearsal.ts';
import { sharedNotice } from './own-migrations.ts';
import { verifyFromVersion } from './release-gate.ts';
import { describeOpenRun } from './run-lock.ts';
import { verifyApplicationVersion } from './schema-gate.ts';
import type { Origin, Target } from './step.ts';

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

/** What the rules of the lint are about; the others are about the schema itself. */
const rulesOf: Readonly<Record<'compatibility' | 'performance' | 'safety', readonly RuleName[]>> = {
  compatibility: [
    ...(['rename-table', 'rename-column', 'rename-enum-value', 'possible-rename'] as const),
    ...(['drop-type', 'drop-constraint', 'drop-not-null'] as const),
  ],
  performance: [
    ...(['rewrite-table', 'set-not-null', 'volatile-default', 'index-not-concurrently'] as const),
    ...(['concurrently-not-alone', 'foreign-key-validates', 'check-validates', 'add-unique'] as const),
    'no-lock-timeout',
  ],
  safety: [
    ...(['drop-table', 'drop-column', 'change-type', 'not-null-without-default'] as const),
    ...(['truncate', 'delete-without-where', 'update-without-where'] as const),
  ],
};

/** Everything that can be checked of what a version would apply, checked; the rest named. Looks only. */
export async function fillChecklist(
  appliance: Appliance,
  origin: Origin,
  target: Target,
  ref: string | undefined,
): Promise<ChecklistItem[]> {
  const { commit, config } = target;
  const at = ref === undefined ? undefined : commit;
  const to = ref === undefined ? '' : ` --to ${ref}`;
  const files = await readMigrations(appliance, config, at);
  const recorded = await readRecorded(appliance);
  const provider = await readProvider(appliance, config, at);
  const pending = pendingMigrations(
    files.map(({ name }) => name),
    recorded?.applied ?? [],
  );
  const names = new Set(pending);
  const linted = await lintMigrations(config, files, { names, recorded, provider });
  const ours = linted.filter(({ migration }) => names.has(migration.name));
  const lint = `./run.sh migrate lint${to}`;
  const findings = (group: keyof typeof rulesOf) =>
    ours.flatMap((one) => one.findings).filter(({ rule }) => rulesOf[group].includes(rule));
  const others = ours
    .flatMap((one) => one.findings)
    .filter(({ rule }) => !Object.values(rulesOf).flat().includes(rule));
  const states = recorded && schemaStates(files, recorded.applied);
  return [
    await check('schema', 'the database answers, and no migration in it is failed, edited or missing', () => {
      if (!recorded || !states)
        return { state: 'failed', found: 'the database does not answer', next: './run.sh start' };
      const problems = schemaProblems(
        states.filter((one) => !isPending(one)),
        recorded.inspection,
      );
      const [first] = problems;
      return first && { state: 'failed', found: first.message, next: './run.sh migrate status' };
    }),
    judged(
      'schema',
      `${plural(pending.length, 'pending migration')}: names, syntax, one transaction each`,
      others,
      lint,
    ),
    wayBack(ours, config.prisma?.requireDown === true),
    byHand(
      'schema',
      'no drift: the migrations make what schema.prisma says',
      './run.sh migrate generate check --dry-run says "No changes"',
    ),
    await check('compatibility', 'the versions fit: requires, -- Requires application version', async () => {
      await verifyFromVersion(appliance, origin, target);
      await verifyApplicationVersion(appliance, ours, target);
    }),
    await check('compatibility', 'no data migration of before is overtaken', async () => {
      const [blocked] = recorded ? await findBlocked(appliance, origin, target) : [];
      return blocked && { state: 'failed', found: describeBlocked(blocked) };
    }),
    breaking(ours),
    judged(
      'compatibility',
      'nothing that the version before still uses is renamed or dropped',
      findings('compatibility'),
      lint,
    ),
    byHand(
      'compatibility',
      'reports and scripts outside of the code use nothing of it',
      'search them for the names in ./run.sh migrate show',
    ),
    judged(
      'performance',
      'no long locks and no rewritten tables, by the size of the tables here',
      findings('performance'),
      lint,
    ),
    rehearsed(appliance, target, pending.length, to),
    byHand(
      'performance',
      'the time of the update suits those who work with it',
      './run.sh rehearse estimates the outage',
    ),
    judged(
      'safety',
      'nothing takes data away that was not accepted',
      findings('safety'),
      lint,
      judge(ours).destructive,
    ),
    await check('safety', 'no run is open', () => {
      const open = describeOpenRun(appliance);
      return open && { state: 'failed', found: open.text, next: './run.sh status' };
    }),
    await snapshotItem(appliance),
    await check('safety', 'room for a snapshot and a restore', async () => await verifySpace(appliance)),
    ...(appliance.database?.isShared === true
      ? [
          {
            group: 'safety',
            what: 'a failure can be taken back',
            state: 'warning',
            found: sharedNotice,
          } as const,
        ]
      : []),
    await dataItem(appliance, target),
    byHand(
      'testing',
      'it was applied to an empty database and to a copy of a real one',
      'in CI: ./run.sh setup on a fresh clone; ./run.sh rehearse here',
    ),
    byHand('testing', 'each way back was tried', './run.sh migrate test-down NAME'),
    byHand(
      'testing',
      'the update and its rollback were tried elsewhere first',
      './run.sh update, then ./run.sh rollback, on a test appliance',
    ),
  ];
}

type Found = Pick<ChecklistItem, 'state' | 'found' | 'next'>;

/** @param look finds what is wrong, or throws it; nothing where all is well */
async function check(
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

function byHand(group: Group, what: string, next: string): ChecklistItem {
  return { group, what, state: 'open', next };
}

/** What the lint says: errors fail, warnings warn, what is accepted is told. */
function judged(
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

function wayBack(ours: readonly Linted[], required: boolean): ChecklistItem {
  const without = ours
    .filter(({ migration, directives }) => migration.down === undefined && directives.rollback.length === 0)
    .map(({ migration }) => migration.name);
  const what = 'each pending migration brings its way back (down.sql, or -- Rollback:)';
  if (without.length === 0) return { group: 'schema', what, state: 'ok' };
  const found = `without: ${without.join(', ')}`;
  const next = `./run.sh migrate generate-down ${without[0]}`;
  return { group: 'schema', what, state: required ? 'failed' : 'warning', found, next };
}

function breaking(ours: readonly Linted[]): ChecklistItem {
  const lines = ours.flatMap(({ migration, directives }) =>
    directives.breaking.map((line) => `${migration.name}: ${line}`),
  );
  const what = 'nothing is announced as BREAKING';
  if (lines.length === 0) return { group: 'compatibility', what, state: 'ok' };
  const next = 'see to it that whoever is concerned knows';
  return { group: 'compatibility', what, state: 'open', found: lines.join('; '), next };
}

function rehearsed(appliance: Appliance, target: Target, pending: number, to: string): ChecklistItem {
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

async function snapshotItem({ backupsDirectory }: Appliance): Promise<ChecklistItem> {
  return await check('safety', 'a whole snapshot', async () => {
    const [newest] = listSnapshots(backupsDirectory);
    if (!newest?.manifest)
      return { state: 'failed', found: newest?.problem ?? 'there is none', next: './run.sh backup create' };
    await verifySnapshot(newest.folder);
    const ageMs = Date.now() - Date.parse(newest.manifest.createdAt);
    return { state: 'ok', found: `${newest.id}, every byte read, ${formatDuration(Math.max(0, ageMs))} old` };
  });
}

async function dataItem(appliance: Appliance, { commit, config }: Target): Promise<ChecklistItem> {
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
