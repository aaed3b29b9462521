import { backupDatabase } from '../steps/backup-database.ts';
import { backupFiles } from '../steps/backup-files.ts';
import { backupRegistry } from '../steps/backup-registry.ts';
import { buildBackend } from '../steps/build-backend.ts';
import { buildFrontend } from '../steps/build-frontend.ts';
import { commit } from '../steps/commit.ts';
import { installBackend } from '../steps/install-backend.ts';
import { migrateData, migrateDataAfterCommit } from '../steps/migrate-data.ts';
import { migrateSchema } from '../steps/migrate-schema.ts';
import { preflight } from '../steps/preflight.ts';
import { pullCode } from '../steps/pull-code.ts';
import { restartServices } from '../steps/restart-services.ts';
import { revertSchema } from '../steps/revert-schema.ts';
import { restoreSnapshotStep } from '../steps/restore-snapshot.ts';
import { stopServices } from '../steps/stop-services.ts';
import { verify } from '../steps/verify.ts';
import type { Config } from '../config/schema.ts';
import type { Step } from './step.ts';

/** What an update does, in order. First every `prepare`, while the appliance serves; then every `apply`. */
export const updateSteps: readonly Step[] = [
  preflight,
  stopServices,
  backupDatabase,
  backupFiles,
  backupRegistry,
  pullCode,
  installBackend,
  buildBackend,
  migrateSchema,
  migrateData,
  buildFrontend,
  restartServices,
  verify,
  commit,
];

/** The same where they must not keep anybody waiting: they come after the commit, and a failure is a warning. */
const committedDataUpdateSteps: readonly Step[] = updateSteps.filter((step) => step !== migrateData);

/** The same where the new version must be healthy first: the gate is closed still, and a failure restores. */
const lateDataUpdateSteps: readonly Step[] = committedDataUpdateSteps.flatMap((step) =>
  step === commit ? [migrateData, commit] : [step],
);
const afterCommit: readonly Step[] = [migrateDataAfterCommit];

/** What an update to a version does, as its configuration says when its data is migrated. */
export function stepsOfUpdate({ prisma }: Config): {
  readonly steps: readonly Step[];
  readonly afterCommit: readonly Step[];
} {
  const { when, onFailure } = prisma?.dataMigrations ?? {};
  if (when !== 'after-start') return { steps: updateSteps, afterCommit: [] };
  if (onFailure !== 'warn') return { steps: lateDataUpdateSteps, afterCommit: [] };
  return { steps: committedDataUpdateSteps, afterCommit };
}

/** What a rollback does: the same way, with a snapshot in the place of the new code. */
export const rollbackSteps: readonly Step[] = [
  preflight,
  stopServices,
  backupDatabase,
  backupFiles,
  backupRegistry,
  restoreSnapshotStep,
  restartServices,
  verify,
  commit,
];

/** The same where packages and builds of that version are not kept any more: they are made anew. */
export const rebuildingRollbackSteps: readonly Step[] = [
  preflight,
  stopServices,
  backupDatabase,
  backupFiles,
  backupRegistry,
  restoreSnapshotStep,
  installBackend,
  buildBackend,
  buildFrontend,
  restartServices,
  verify,
  commit,
];

const beforeMigrating: readonly Step[] = [
  preflight,
  stopServices,
  backupDatabase,
  backupFiles,
  backupRegistry,
];

/** What `migrate deploy` does: the schema alone, with the code that is there. */
export const migrateSteps: readonly Step[] = [
  ...beforeMigrating,
  migrateSchema,
  restartServices,
  verify,
  commit,
];

/** What `migrate down` does. */
export const revertSteps: readonly Step[] = [
  ...beforeMigrating,
  revertSchema,
  restartServices,
  verify,
  commit,
];

/** The same where the code that is there does not belong to what is left: nothing starts. */
export const revertAndStaySteps: readonly Step[] = [...beforeMigrating, revertSchema, commit];

/** What a backup does. Services start again afterwards, unchanged. */
export const backupSteps: readonly Step[] = [
  preflight,
  stopServices,
  backupDatabase,
  backupFiles,
  backupRegistry,
];
