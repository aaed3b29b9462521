import { runningServices } from '../appliance/services.ts';
import { visible } from '../lib/printable.ts';
import { formatBytes, plural } from '../lib/units.ts';
import { describeBlocked, findBlocked } from '../pipeline/data-gate.ts';
import {
  dataMigrationFiles,
  pendingDataMigrations,
  readDataMigrationStates,
} from '../pipeline/data-pending.ts';
import { lintTarget } from '../pipeline/schema-gate.ts';
import { migratesByItself, sharedNotice, switchedOff } from '../pipeline/own-migrations.ts';
import { describeOpenRun } from '../pipeline/run-lock.ts';
import { findDestination } from '../pipeline/target.ts';
import { judge } from '../schema-migrations/lint/verdict.ts';
import { migrationNames, migrationsFolder, pendingMigrations } from '../schema-migrations/pending.ts';
import { estimateSpace } from '../steps/space.ts';
import { filesAt, summarise } from '../tools/git-facts.ts';
import type { Session } from './session.ts';

/** `update --dry-run`: what an update would do. Fetches and looks; stops and changes nothing. */
export async function showPlan(session: Session, to: string | undefined): Promise<number> {
  const appliance = session.open();
  const { runtime, directory } = appliance;
  const { origin, target, relation } = await findDestination(appliance, to);
  const commits = await summarise(runtime, directory, origin.commit, target.commit);
  const folder = migrationsFolder(target.config);
  const names =
    folder === undefined
      ? []
      : migrationNames(await filesAt(runtime, directory, target.commit, folder), folder);
  // A server that does not run is not started for a look.
  const applied = await appliance.database?.appliedMigrations().catch(() => undefined);
  const migrates = migratesByItself(target.config);
  const schema =
    migrates && target.config.prisma?.deploy === 'holdfast' ? pendingMigrations(names, applied ?? []) : [];
  const dataFolder = target.config.prisma?.dataMigrations?.dir;
  const data =
    dataFolder === undefined || !migrates
      ? []
      : pendingDataMigrations(
          dataMigrationFiles(await filesAt(runtime, directory, target.commit, dataFolder), dataFolder),
          await readDataMigrationStates({ ...appliance, config: target.config }),
        );
  // Without the database all of them would seem to be pending.
  const blocked = applied === undefined ? [] : await findBlocked(appliance, origin, target);
  const linted = applied === undefined || !migrates ? [] : await lintTarget(appliance, origin, target);
  const { destructive } = judge(linted);
  const breaking = linted.flatMap(({ directives }) => directives.breaking);
  const space = await estimateSpace(appliance).catch(() => []);
  const stopping = await runningServices(appliance, appliance.config);
  const open = describeOpenRun(appliance);
  const list = (items: readonly string[]) => (items.length === 0 ? 'none' : items.join(', '));
  const lines = [
    relation === 'newer'
      ? `Would update ${origin.label} -> ${target.label} (${plural(commits.count, 'commit')}):`
      : `Already current: ${origin.label}.`,
    ...commits.subjects.map((subject) => `    ${subject}`),
    `  schema migrations:  ${list(schema)}${applied === undefined && appliance.database ? ' (the database does not answer, so all are listed)' : ''}`,
    `  data migrations:    ${list(data)}`,
    `  stopped meanwhile:  ${list(stopping)}`,
    `  room needed:        ${space.map(({ what, bytes }) => `${formatBytes(bytes)} for ${what}`).join(', ') || 'unknown'}`,
    ...(migrates ? [] : [`  migrations:         ${switchedOff}`]),
    ...(appliance.database?.isShared === true ? [`  ${sharedNotice}`] : []),
    ...breaking.map((line) => `  BREAKING: ${line}`),
    ...destructive.map(
      ({ migration, message }) => `  Takes data away: ${migration} ${message}. It needs --allow-destructive.`,
    ),
    ...blocked.map((one) => `  An update would be refused: ${describeBlocked(one)}.`),
    ...(appliance.state.isInstalled()
      ? []
      : ['  This checkout was never set up; an update sets it up first.']),
    ...(open === undefined
      ? []
      : open.active
        ? [`  ${open.text}: an update would be refused until that has ended.`]
        : [`  The run ${open.run} was interrupted: an update would recover it first and then stop.`]),
    'Nothing was stopped or changed.',
  ].map(visible);
  session.ui.result(
    {
      type: 'result',
      ok: true,
      exitCode: 0,
      outcome: 'dry-run',
      relation,
      from: origin.commit,
      to: target.commit,
      commits: commits.count,
      schemaMigrations: schema,
      dataMigrations: data,
      blocked,
      breaking,
      destructive,
      services: stopping,
      space: space.map(({ what, bytes }) => ({ what, bytes })),
      ...(open === undefined ? {} : { unfinished: open.run, active: open.active }),
    },
    lines.join('\n'),
  );
  return 0;
}
