import { plural } from '../lib/units.ts';
import type { Step } from '../pipeline/step.ts';
import { carryOutPlan, codeArea, preparePlan, readPlan } from '../snapshot/rename-plan.ts';
import { registryPath } from '../snapshot/registry.ts';
import { absoluteGitDirectory } from '../tools/git-facts.ts';
import { verifyDoor } from './door.ts';

export const pullCode: Step = {
  name: 'pull-code',
  title: 'Pull the code',
  prepareTitle: 'Stage the new code',
  async prepare(context) {
    const { appliance, origin, target, runFolder, note } = context;
    await verifyDoor(context);
    const { runtime, directory } = appliance;
    const gitDirectory = await absoluteGitDirectory(runtime, directory);
    const plan = await preparePlan(
      runtime,
      directory,
      gitDirectory,
      codeArea(runFolder),
      { from: origin.commit, to: target.commit, ref: origin.ref },
      registryPath(appliance.config),
    );
    note(`${plural(plan.changes.length, 'file')} of ${target.label}`);
  },
  async apply({ appliance, runFolder, note }) {
    const area = codeArea(runFolder);
    const plan = readPlan(area);
    if (!plan) throw new Error('the rename plan is gone');
    const gitDirectory = await absoluteGitDirectory(appliance.runtime, appliance.directory);
    await carryOutPlan(appliance.runtime, appliance.directory, gitDirectory, area, plan);
    note(plural(plan.changes.length, 'file'));
  },
  skip: async ({ origin, target }) =>
    await Promise.resolve(origin.commit === target.commit && 'the code is the same'),
};
