import { untilAborted, type Appliance } from '../appliance/appliance.ts';
import type { Config } from '../config/schema.ts';
import type { Database } from '../database/engine.ts';
import { exitCodes, Refusal } from '../lib/errors.ts';
import { runOnTerminal } from '../runtime/hand-over.ts';
import { prismaCli, runPrisma } from '../schema-migrations/prisma-cli.ts';
import { registryPath } from '../snapshot/registry.ts';
import { changedFiles } from '../tools/git-facts.ts';
import { dumpDatabase, type Back } from './dumps.ts';
import type { Locked } from './locked.ts';
import { snapshotName, takeSnapshotQuietly } from './quiet-snapshot.ts';
import type { Session } from './session.ts';

/** What only makes sense where Prisma works on the database, and only where nobody's rows are at stake. */
export function verifyAllowed(
  { config, database, file }: Appliance,
  command: string,
  environments: readonly Config['environment'][],
): Database {
  if (!database || config.prisma?.deploy !== 'holdfast')
    throw new Refusal(
      `cannot ${command}: Prisma does not apply the schema migrations here`,
      'prisma.deploy in appliance.yaml names what does',
    );
  // A configuration that an older version pinned says nothing.
  const environment = config.environment ?? 'production';
  if (!environments.includes(environment))
    throw new Refusal(
      `cannot ${command}: this is a ${environment} environment`,
      `where it is not: environment: ${environments.join(' or ')} in ${file}, or in a file of your own beside it (--appliance FILE)`,
    );
  return database;
}

/** A call of Prisma, its output passed on as it comes; on the operator's terminal where there is one and it asks. */
export async function callPrisma(
  { ui }: Session,
  { appliance, signals }: Pick<Locked, 'appliance' | 'signals'>,
  args: readonly string[],
  { input, more, asks = false }: { input?: string; more?: Record<string, string>; asks?: boolean } = {},
): Promise<void> {
  const environment = { ...(await appliance.database?.environment()), ...more };
  const command = prismaCli(appliance, appliance.config, args, environment);
  if (asks && ui.canAsk) {
    const exitCode = await runOnTerminal(command);
    if (exitCode !== 0) throw new Refusal(`${command.label} ended with exit ${exitCode ?? 'by a signal'}`);
    return;
  }
  await runPrisma(
    untilAborted(appliance, signals.abort.signal),
    { ...command, ...(input === undefined ? {} : { input }) },
    { onLine: (line) => ui.say(line) },
  );
}

/**
 * Runs what changes the database in a way that no run takes back, behind a snapshot. A checkout in which somebody is at
 * work can have none, since a restore would take his changes away: there it is a dump of the database alone.
 *
 * @returns the exit code of the snapshot where that failed, else of the work
 */
export async function behindSnapshot(
  session: Session,
  { appliance, signals }: Locked,
  name: string,
  work: (back: Back) => Promise<void>,
): Promise<number> {
  const { runtime, directory, config } = appliance;
  if ((await changedFiles(runtime, directory, registryPath(config))).length > 0) {
    // `verifyAllowed` has seen that there is one.
    if (appliance.database) await work(await dumpDatabase(session, appliance, appliance.database, { name }));
    return exitCodes.ok;
  }
  const taken = await takeSnapshotQuietly(session, { appliance, signals }, snapshotName(appliance, name));
  if (taken.event.exitCode !== exitCodes.ok) {
    session.ui.result(taken.event, taken.text);
    return taken.event.exitCode;
  }
  const snapshot = String(taken.event['snapshot']);
  const back = `./run.sh rollback ${snapshot}`;
  session.ui.say(`Snapshot ${snapshot} holds everything as it was; ${back} brings it back.`);
  // The snapshot had them shielded to its end.
  signals.unshield();
  await work({ snapshot, back });
  return exitCodes.ok;
}
