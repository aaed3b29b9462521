import { cpSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { freePort } from '../../orchestrator/lib/ports.ts';
import { roomyFolder } from './roomy-folder.ts';
import { removeWithProcesses } from './sandbox.ts';
import { addHoldfast, lendPackages } from './self-hosted.ts';

const root = join(import.meta.dirname, '..', '..');
const identity = {
  GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_AUTHOR_NAME: 'Vendor',
  GIT_AUTHOR_EMAIL: 'vendor@example.org',
  GIT_COMMITTER_NAME: 'Vendor',
  GIT_COMMITTER_EMAIL: 'vendor@example.org',
};

/** How a command ended, and all that it said. */
export interface Ended {
  readonly exitCode: number | undefined;
  readonly all: string;
}

/** The reference appliance as a developer has it: a clone that is set up, in `environment: development`, without its page. */
export class ReferenceAppliance {
  readonly #root: string;
  readonly directory: string;
  readonly port: number;

  private constructor(folder: string, port: number) {
    this.#root = folder;
    this.directory = join(folder, 'box');
    this.port = port;
  }

  static async install(): Promise<ReferenceAppliance> {
    const folder = mkdtempSync(join(roomyFolder(), 'hold fast-'));
    const appliance = new ReferenceAppliance(folder, await freePort());
    const vendor = join(folder, 'vendor');
    try {
      addHoldfast(vendor);
      cpSync(join(root, 'backend'), join(vendor, 'backend'), {
        recursive: true,
        filter: (path) => !/node_modules|\/dist$|generated$|registry\.json$/.test(path),
      });
      cpSync(join(root, '.gitignore'), join(vendor, '.gitignore'));
      writeFileSync(
        join(vendor, 'appliance.yaml'),
        readFileSync(join(root, 'appliance.yaml'), 'utf8')
          .replaceAll(/^ {2}frontend:\n(?: {4}.*\n)+/gm, '')
          .replace('port: 4000', `port: ${appliance.port}`)
          .replace('stableFor: 2s', 'stableFor: 200ms')
          .replace(/^name: .*$/m, '$&\nenvironment: development'),
      );
      await appliance.#git(vendor, 'init', '--quiet', '--initial-branch=main');
      await appliance.#git(vendor, 'add', '--all');
      await appliance.#git(vendor, 'commit', '--quiet', '--message', 'a release');
      await appliance.#git(folder, 'clone', '--quiet', vendor, appliance.directory);
      lendPackages(appliance.directory);
      const { exitCode, all } = await appliance.run('setup');
      if (exitCode !== 0) throw new Error(`setup: exit ${exitCode}\n${all}`);
    } catch (error) {
      await appliance.destroy();
      throw error;
    }
    return appliance;
  }

  get backend(): string {
    return join(this.directory, 'backend');
  }

  async #git(folder: string, ...args: string[]): Promise<void> {
    await execa('git', args, { cwd: folder, env: identity });
  }

  /** Through its own door, with nobody at a terminal. */
  async run(...args: string[]): Promise<Ended> {
    return await call('bash', ['run.sh', ...args], this.directory, {});
  }

  /** A script of the backend, as it is typed there: `npm run SCRIPT -- ARGS`. */
  async npm(
    script: string,
    args: readonly string[] = [],
    env: Readonly<Record<string, string>> = {},
  ): Promise<Ended> {
    return await call('npm', ['run', '--silent', script, '--', ...args], this.backend, env);
  }

  async destroy(): Promise<void> {
    await removeWithProcesses(this.#root);
  }
}

async function call(
  file: string,
  args: readonly string[],
  cwd: string,
  env: Readonly<Record<string, string>>,
): Promise<Ended> {
  const { exitCode, all } = await execa(file, args, {
    ...{ cwd, env, reject: false, all: true, stdin: 'ignore' },
  });
  return { exitCode, all };
}
