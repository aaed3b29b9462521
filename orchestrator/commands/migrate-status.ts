import { exitCodes } from '../lib/errors.ts';
import { plural } from '../lib/units.ts';
import { readMigrations, readRecorded } from '../schema-migrations/inspect.ts';
import {
  isPending,
  schemaProblems,
  schemaStates,
  type SchemaMigrationState,
} from '../schema-migrations/state.ts';
import { foldersWithoutSql, pathsInCheckout } from '../schema-migrations/migration-file.ts';
import { migrationsFolder } from '../schema-migrations/pending.ts';
import type { Paint } from '../ui/ui.ts';
import type { Session } from './session.ts';

/** `migrate status`: every migration, what is wrong, and what to type. Looks only. */
export async function showMigrationStatus(session: Session): Promise<number> {
  const appliance = session.open();
  const { ui } = session;
  const files = await readMigrations(appliance, appliance.config);
  const recorded = await readRecorded(appliance);
  if (!recorded) {
    const installed = appliance.state.isInstalled();
    const error = installed
      ? 'the database does not answer, so what is applied is unknown'
      : 'this checkout was never set up, so nothing is applied';
    const next = installed ? './run.sh start' : './run.sh setup';
    ui.result(
      {
        ...{ type: 'result', ok: false, exitCode: exitCodes.refused, error, next },
        migrations: files.map(({ name }) => ({ name })),
      },
      [...files.map(({ name }) => `  ${name}`), `✖ ${error}`, `  Next: ${next}`].join('\n'),
    );
    return exitCodes.refused;
  }
  const migrations = schemaStates(files, recorded.applied);
  const folder = migrationsFolder(appliance.config) ?? '';
  const incomplete = foldersWithoutSql(pathsInCheckout(appliance.directory, folder), folder);
  const problems = schemaProblems(migrations, recorded.inspection, incomplete);
  const pending = migrations.filter(isPending);
  const ok = problems.length === 0 && pending.length === 0;
  const exitCode = ok ? exitCodes.ok : exitCodes.refused;
  const lines = [
    ...migrations.map(({ name, state, error }) => {
      const why = error === undefined ? '' : `: ${error}`;
      return `${mark(state, ui.paint)} ${name}${state === 'applied' ? '' : `  ${state}${why}`}`;
    }),
    ...(migrations.length === 0 ? ['There are no schema migrations.'] : []),
    ...problems.map(
      ({ code, message, next }) =>
        `${ui.paint.red('✖')} ${code === undefined ? '' : `${code}: `}${message}\n  ${ui.paint.bold('Next:')} ${next}`,
    ),
    ...(pending.length === 0
      ? ok
        ? [`${plural(migrations.length, 'migration')} applied, none pending.`]
        : []
      : [
          `${plural(pending.length, 'migration')} pending. See: ./run.sh migrate show, ./run.sh migrate lint. An update applies them.`,
        ]),
  ];
  ui.result({ type: 'result', ok, exitCode, migrations, problems }, lines.join('\n'));
  return exitCode;
}

function mark(state: SchemaMigrationState, paint: Paint): string {
  if (state === 'applied') return paint.green('✔');
  return state === 'pending' || state === 'rolled back' ? paint.yellow('○') : paint.red('✖');
}
