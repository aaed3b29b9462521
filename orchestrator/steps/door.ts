import { existsSync, mkdirSync, realpathSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { baseEnvironment } from '../config/environment.ts';
import { messageOf, Refusal } from '../lib/errors.ts';
import { removeTree } from '../lib/remove-tree.ts';
import type { StepContext } from '../pipeline/step.ts';
import { exportTree } from '../tools/export-tree.ts';
import * as git from '../tools/git.ts';

/** What Holdfast is made of in a checkout that brings its own. */
const doorPaths = ['run.sh', '.nvmrc', 'package.json', 'package-lock.json', 'orchestrator', 'lxd/*.yaml'];

/**
 * An appliance that brings its own Holdfast must not be updated to one that does not start: after the commit there
 * would be nothing to roll back with. So the target's door is opened beside the live one, from the target's files
 * alone, with a runner built anew and not the last one that did build. Its Node and packages are those that it will
 * use: the network is not needed again for them.
 *
 * @throws Refusal with the door's own words
 */
export async function verifyDoor(context: StepContext): Promise<void> {
  const { appliance, origin, target, runFolder } = context;
  const { program, directory, runtime } = appliance;
  if (!existsSync(join(program.home, 'run.sh')) || realpathSync(program.home) !== realpathSync(directory))
    return;
  const changed = await runtime.run(git.differ(directory, origin.commit, target.commit, doorPaths), {
    allowFailure: true,
  });
  if (changed.exitCode === 0) return;
  context.note("the release's own Holdfast");
  const folder = join(runFolder, 'door');
  try {
    await exportTree(appliance, target.commit, folder);
    shareState(join(program.home, '.holdfast'), join(folder, '.holdfast'));
    const { stdout } = await runtime.run({
      file: 'bash',
      args: [join(folder, 'run.sh'), '--version'],
      cwd: folder,
      env: baseEnvironment(program.node),
      timeoutMs: 600_000,
      label: './run.sh --version',
    });
    if (stdout.trim() === '') throw new Error('./run.sh --version printed nothing');
  } catch (error) {
    context.signal.throwIfAborted();
    throw new Refusal(
      `cannot update to ${target.label}: its own Holdfast does not start, and nothing could bring the appliance back from it: ${messageOf(error)}`,
      'ask the vendor for a release in which ./run.sh --version works',
      error,
    );
  } finally {
    removeTree(folder);
  }
}

/** Its own state, so that it neither sees the open run nor the runners there are; Node and packages are shared. */
function shareState(live: string, own: string): void {
  mkdirSync(own, { mode: 0o700 });
  for (const name of ['node', 'dependencies']) {
    mkdirSync(join(live, name), { recursive: true, mode: 0o700 });
    symlinkSync(join(live, name), join(own, name));
  }
  const lock = join(live, 'door.lock');
  writeFileSync(lock, '', { flag: 'a', mode: 0o600 });
  symlinkSync(lock, join(own, 'door.lock'));
}
