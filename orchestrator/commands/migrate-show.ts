import { exitCodes, Refusal } from '../lib/errors.ts';
import { plural } from '../lib/units.ts';
import { findDestination } from '../pipeline/target.ts';
import { readMigrations, readRecorded } from '../schema-migrations/inspect.ts';
import { pendingMigrations } from '../schema-migrations/pending.ts';
import type { Session } from './session.ts';

/** `migrate show`: the SQL of what is pending here, or in another version. Looks only. */
export async function showPendingSql(
  session: Session,
  name: string | undefined,
  to: string | undefined,
): Promise<number> {
  const appliance = session.open();
  const target = to === undefined ? undefined : (await findDestination(appliance, to)).target;
  const files = await readMigrations(appliance, target?.config ?? appliance.config, target?.commit);
  const recorded = await readRecorded(appliance);
  const names = files.map((file) => file.name);
  if (name !== undefined && !names.includes(name))
    throw new Refusal(
      `cannot show ${name}: there is no such migration`,
      './run.sh migrate status lists them',
    );
  const shown = name === undefined ? pendingMigrations(names, recorded?.applied ?? []) : [name];
  const migrations = files.filter((file) => shown.includes(file.name));
  const known = recorded || name !== undefined ? '' : ' (the database does not answer, so all are shown)';
  session.ui.result(
    {
      ...{ type: 'result', ok: true, exitCode: exitCodes.ok },
      migrations: migrations.map(({ name: one, file, sql }) => ({ name: one, file, sql })),
    },
    [
      ...migrations.map(({ file, sql }) => `-- ${file}\n${sql.trimEnd()}\n`),
      ...(name === undefined ? [`-- ${plural(migrations.length, 'migration')} pending${known}`] : []),
    ].join('\n'),
  );
  return exitCodes.ok;
}
