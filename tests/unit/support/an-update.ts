import { join } from 'node:path';
import { localRuntime } from '../../../orchestrator/runtime/local.ts';
import {
  carryOutPlan,
  codeArea,
  invertPlan,
  preparePlan,
  type RenamePlan,
} from '../../../orchestrator/snapshot/rename-plan.ts';
import { repositoryWith } from './a-repository.ts';
import { removeAll } from './temporary-folder.ts';
import { treeFacts, type TreeFacts } from './tree-facts.ts';

export const ref = 'refs/heads/main';
/** A checkout without what is git's own. */
export const withoutGit = (directory: string, times: 'of files' | 'none'): TreeFacts =>
  treeFacts(directory, { except: ['.git'], times });

/** A box at the first commit, about to go to the second. */
export class Update {
  readonly directory: string;
  readonly gitDirectory: string;
  readonly area;
  readonly from: string;
  readonly to: string;
  readonly #runFolder: string;

  constructor(folder: string, first: (directory: string) => void, second: (directory: string) => void) {
    const { directory, gitDirectory, commits } = repositoryWith(folder, first, second);
    this.directory = directory;
    this.gitDirectory = gitDirectory;
    [this.from, this.to] = [commits[0] ?? '', commits[1] ?? ''];
    this.#runFolder = join(folder, 'run');
    this.area = codeArea(this.#runFolder);
  }

  async prepare(): Promise<RenamePlan> {
    removeAll(this.#runFolder);
    const target = { from: this.from, to: this.to, ref };
    return await preparePlan(localRuntime, this.directory, this.gitDirectory, this.area, target);
  }

  async carryOut(plan: RenamePlan): Promise<void> {
    await carryOutPlan(localRuntime, this.directory, this.gitDirectory, this.area, plan);
  }

  /** What a restore does: the renames taken back, then index and ref set to what they were. */
  invert(plan: RenamePlan): void {
    invertPlan(this.directory, this.area, plan);
  }
}
