import { existsSync, lstatSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Appliance } from '../appliance/appliance.ts';
import { answeredCommit } from '../appliance/health.ts';
import { verifyPortsAreFree, verifyPortsAreOurs } from '../appliance/services.ts';
import { verifyHooks } from '../hooks/verify-hooks.ts';
import { Refusal } from '../lib/errors.ts';
import { canRenameBetween } from '../lib/mounts.ts';
import { visible } from '../lib/printable.ts';
import { whyUnmovable } from '../lib/unmovable.ts';
import { verifyNothingBlocked } from '../pipeline/data-gate.ts';
import { verifyFromVersion } from '../pipeline/release-gate.ts';
import {
  lintCheckout,
  lintTarget,
  refusalOfLoss,
  unwantedLoss,
  verifyApplicationVersion,
} from '../pipeline/schema-gate.ts';
import { verifyDeployable } from '../pipeline/deployable.ts';
import { migratesByItself, sharedNotice } from '../pipeline/own-migrations.ts';
import { isDone, pendingDataMigrationsInCheckout } from '../pipeline/data-pending.ts';
import type { Step, StepContext } from '../pipeline/step.ts';
import { verifyNoFailedMigration } from '../schema-migrations/pending.ts';
import { verifyProvider } from '../schema-migrations/provider.ts';
import { shellWord } from '../lib/shell-word.ts';
import { listSnapshots } from '../snapshot/store.ts';
import { releaseReserves, releaseInPlaces } from '../snapshot/reserve.ts';
import { registryPath, registryProblem } from '../snapshot/registry.ts';
import { productPaths } from '../snapshot/products.ts';
import { verifyRestorable } from '../snapshot/restorable.ts';
import { verifyCheckout } from '../tools/git-checkout.ts';
import { filesAt } from '../tools/git-facts.ts';
import { listIndex } from '../tools/git.ts';
import { verifyPrograms } from './programs.ts';
import { verifySpace } from './space.ts';

/** Everything that can be refused is refused here, while the appliance serves and nothing has been touched. */
export const preflight: Step = {
  name: 'preflight',
  title: 'Check the appliance',
  async prepare(context) {
    const { appliance, target, note } = context;
    verifyPrograms(target.config);
    await appliance.runtime.verify();
    if (context.kind === 'update') await verifyProvider(appliance, target.config, target.commit);
    note('the checkout');
    await verifyCheckout(appliance.runtime, appliance.directory, {
      commit: context.origin.commit,
      except: registryPath(appliance.config),
    });
    if (appliance.database?.isShared === true) context.warn(sharedNotice);
    for (const problem of await verifyHooks(appliance, context)) context.warn(problem);
    note('the registry of data migrations');
    if (context.kind === 'rollback') verifyRegistryIsFile(appliance);
    else await verifyRegistry(context);
    note('the services');
    await verifyPortsAreOurs(appliance, appliance.config);
    await verifyPortsAreFree(appliance, appliance.config, target);
    await noteWhatRuns(context);
    note('the files');
    verifyOneFileSystem(context);
    await verifyRestorable(appliance);
    if (appliance.database) {
      note('the database');
      await appliance.database.ensureRunning();
      // A rollback is what mends a failed migration; and what failed may be backed up, and taken back.
      if (context.kind === 'update' || (context.kind === 'migrate' && !context.migrating?.down))
        verifyNoFailedMigration(await appliance.database.appliedMigrations());
      if (context.kind === 'update') await verifyRelease(context);
      if (context.kind === 'migrate') await verifyMigrating(context);
      note('the way back');
      if (!context.withoutSafety)
        await appliance.database.proveWayBack(join(context.runFolder, 'schema.dump'));
    }
    note('room on the disks');
    // A power cut may have brought back what an earlier run had given back already.
    for (const id of appliance.state.runIds()) releaseReserves(appliance, id);
    await releaseInPlaces(appliance);
    await verifySpace(appliance);
  },
};

/** Whether the version may come here at all, and what its schema migrations would do. */
async function verifyRelease(context: StepContext): Promise<void> {
  const { appliance, origin, target, allowDestructive, migrate, note, output } = context;
  await verifyFromVersion(appliance, origin, target);
  if (!migratesByItself(target.config, migrate)) return;
  await verifyNothingBlocked(appliance, origin, target);
  note('the schema migrations');
  await verifyDeployable(appliance, target, `update to ${target.label}`);
  const linted = await lintTarget(appliance, origin, target);
  await verifyApplicationVersion(appliance, linted, target);
  const refusal = allowDestructive ? undefined : refusalOfLoss(linted, target);
  if (refusal) throw refusal;
  for (const { migration, directives } of linted)
    for (const line of directives.breaking) output(`${visible(migration.name)}: BREAKING: ${line}`);
  for (const { migration, findings } of linted)
    for (const { severity, line, message, rule } of findings)
      output(`${visible(migration.name)}:${line}: ${severity}: ${message} [${rule}]`);
}

/**
 * A checkout that was moved by hand, and not built: a restore brings the former products back, which answer as what they
 * were built from. The new ones of an update are its own; but what only migrates starts the same ones again.
 */
async function noteWhatRuns({ appliance, kind, origin, journal }: StepContext): Promise<void> {
  for (const [service, config] of Object.entries(appliance.config.services)) {
    const commit = await answeredCommit(appliance, service, config);
    if (commit === undefined || commit === origin.commit) continue;
    if (kind === 'migrate')
      throw new Refusal(
        `cannot migrate: service ${service} answers as commit ${commit}, and the checkout is at ${origin.commit}, which was never built`,
        './run.sh update builds it, and applies what is pending',
      );
    journal.append({ type: 'answered', service, commit });
  }
}

/** `migrate deploy`: the code stays, and what lies in the checkout is applied. What goes down was looked at before. */
async function verifyMigrating({
  appliance,
  target,
  allowDestructive,
  migrating,
}: StepContext): Promise<void> {
  if (migrating?.down) return;
  await verifyDeployable(appliance, { config: target.config }, 'migrate the database');
  const linted = await lintCheckout(appliance, migrating?.to);
  await verifyApplicationVersion(appliance, linted, target);
  const to = migrating?.to === undefined ? '' : ` --to ${shellWord(migrating.to)}`;
  const refusal = unwantedLoss(linted, 'migrate the database', {
    look: './run.sh migrate lint',
    allow: `./run.sh migrate deploy${to} --allow-destructive`,
  });
  if (refusal && !allowDestructive) throw refusal;
}

/** A registry that is lost or damaged would let every data migration run again, on rows that it has changed long ago. */
async function verifyRegistry({ appliance, target, warn }: StepContext): Promise<void> {
  const { config, directory, runtime } = appliance;
  const path = registryPath(config);
  if (path === undefined) return;
  const problem =
    registryProblem(directory, config) ?? ((await isLost(appliance, path)) ? 'is missing' : undefined);
  if (problem !== undefined) {
    const { length } = await pendingDataMigrationsInCheckout({ ...appliance, database: undefined });
    const lost = length === 0 ? '' : `; ${length} data migrations would run again`;
    throw new Refusal(
      `cannot go on: the registry of data migrations ${path} ${problem}${lost}`,
      howToBringBack(appliance, path),
    );
  }
  const tracked = await runtime.run(listIndex(directory, '', path));
  if (tracked.stdout !== '' || (await filesAt(runtime, directory, target.commit, path)).length > 0)
    warn(
      `git tracks the registry of data migrations ${path}: it is left as it is here, whatever a release brings. The vendor should take it out: git rm --cached ${path}`,
    );
}

/** A rollback brings the registry of its snapshot, whatever is in the one here: but its own way back is a copy of it. */
function verifyRegistryIsFile({ config, directory }: Appliance): void {
  const path = registryPath(config);
  const stat = path === undefined ? undefined : statSync(join(directory, path), { throwIfNoEntry: false });
  if (path !== undefined && stat && !stat.isFile())
    throw new Refusal(
      `cannot go on: the registry of data migrations ${path} is no file`,
      `${aside(join(directory, path))}, then try again: a rollback brings its own`,
    );
}

const aside = (path: string) => `mv ${shellWord(path)} ${shellWord(`${path}.aside`)}`;

function howToBringBack({ backupsDirectory, directory }: Appliance, path: string): string {
  const place = join(directory, path);
  const inTheWay = statSync(place, { throwIfNoEntry: false })?.isDirectory() ?? false;
  const file = shellWord(place);
  const [newest] = listSnapshots(backupsDirectory).filter(
    ({ manifest }) => manifest?.registry?.present === true,
  );
  return newest
    ? `${inTheWay ? `${aside(place)} && ` : ''}cp ${shellWord(join(newest.folder, 'registry.json'))} ${file} brings back the one of ${newest.id}; what has run since then is missing in it`
    : `where none was ever applied: echo '{"migrations":[]}' > ${file}`;
}

/**
 * True where the registry was there and is gone, and the database does not remember either what was applied: from its
 * table the data-migration engine makes the file anew.
 */
async function isLost({ directory, state, database }: Appliance, path: string): Promise<boolean> {
  if (!state.hadRegistry() || existsSync(join(directory, path))) return false;
  await database?.ensureRunning();
  const rows = (await database?.dataMigrations()) ?? [];
  return !rows.some((row) => isDone(row.state));
}

/** Renames do not cross mounts: state, checkout and products must share one. */
function verifyOneFileSystem({ appliance }: StepContext): void {
  const { directory, config, state } = appliance;
  const products = productPaths(config).map((product) => join(directory, product));
  for (const path of [directory, ...products]) {
    const stat = lstatSync(path, { throwIfNoEntry: false });
    // A link is moved as a link, wherever it leads to.
    const place = stat?.isSymbolicLink() ? dirname(path) : path;
    if (stat && !canRenameBetween(place, state.path)) {
      throw new Refusal(
        `cannot go on: ${path} and ${state.path} lie on different file systems (or mounts), and what is moved aside must not be copied`,
        'set stateDirectory to a folder on the file system of the checkout, and keep products from being mounts',
      );
    }
  }
  const unmovable = products
    .flatMap((path) => (existsSync(path) ? [path, dirname(path)] : []))
    .find((path) => whyUnmovable(path) !== undefined);
  if (unmovable !== undefined)
    throw new Refusal(
      `cannot go on: ${unmovable} is ${whyUnmovable(unmovable)}, and products are moved aside`,
      `mend that (lsattr -d shows it), then try again`,
    );
}
