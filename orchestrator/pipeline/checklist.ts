import type { Appliance } from '../appliance/appliance.ts';
import { shellWord } from '../lib/shell-word.ts';
import { plural } from '../lib/units.ts';
import { lintMigrations, readMigrations, readProvider, readRecorded } from '../schema-migrations/inspect.ts';
import type { RuleName } from '../schema-migrations/lint/rules.ts';
import { judge } from '../schema-migrations/lint/verdict.ts';
import { pendingMigrations } from '../schema-migrations/pending.ts';
import { isPending, schemaProblems, schemaStates } from '../schema-migrations/state.ts';
import { verifySpace } from '../steps/space.ts';
import {
  breaking,
  byHand,
  check,
  dataItem,
  judged,
  rehearsed,
  snapshotItem,
  wayBack,
  type ChecklistItem,
} from './checklist-items.ts';
import { describeBlocked, findBlocked } from './data-gate.ts';
import { sharedNotice } from './own-migrations.ts';
import { verifyFromVersion } from './release-gate.ts';
import { describeOpenRun } from './run-lock.ts';
import { verifyApplicationVersion } from './schema-gate.ts';
import type { Origin, Target } from './step.ts';

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
  const to = ref === undefined ? '' : ` --to ${shellWord(ref)}`;
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
