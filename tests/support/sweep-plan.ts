import { restorePhases } from '../../orchestrator/pipeline/journal-entries.ts';
import { rollbackSteps, updateSteps } from '../../orchestrator/pipeline/steps.ts';
import * as broken from './broken-releases.ts';
import type { Cli } from './cli.ts';
import type { Edit } from './releases.ts';

/** The releases that the plan draws from; each is published once, under its name as a tag. */
export const releases: Readonly<Record<string, Edit>> = {
  good: broken.good,
  'bad-build': broken.buildError,
  'bad-schema': broken.badSchemaMigration,
  'bad-data': broken.badDataMigration,
  'bad-frontend': broken.frontendError,
  'bad-start': broken.endsAtStart,
};

/** How long after the beginning of a step a kill comes at most, in ms. */
export const soonMs = 400;

export type Anchor = (cli: Cli) => Promise<void>;

/** Behind the one point from which nothing goes back. */
export const committed: Anchor = async (cli) => await cli.reached('commit', 'apply', 'finished');

/** Where a command comes along, as far as it comes. */
export function anchorsOf(name: string): readonly Anchor[] {
  const restoring = restorePhases.map((phase) => async (cli: Cli) => await cli.restoring(phase));
  if (name === 'recover') return restoring;
  const steps = name === 'rollback' ? rollbackSteps : updateSteps;
  const reaching = steps.flatMap((step) =>
    step.apply ? [async (cli: Cli) => await cli.reached(step.name, 'apply', 'started')] : [],
  );
  // A good release comes to its commit: there the version changes, so it is looked at most closely.
  const committing = reaching.slice(-1);
  if (name === 'update good' || name === 'rollback')
    return [...reaching, ...committing, ...committing, ...committing];
  return [...reaching, ...restoring];
}
