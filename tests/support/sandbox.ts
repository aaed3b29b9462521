import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
} from 'node:fs';
import { join } from 'node:path';
import { freePort } from '../../orchestrator/lib/ports.ts';
import { execa } from 'execa';
import { writeData, writeTrackedOddities } from './odd-files.ts';
import { replaceIn, type Edit } from './releases.ts';
import { roomyFolder } from './roomy-folder.ts';

const fixtures = join(import.meta.dirname, '..', 'fixtures');

/** Nothing of the developer's own configuration, hooks and identity. */
const gitEnvironment = {
  GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_CONFIG_NOSYSTEM: '1',
  // The test itself looks on, whoever the checkout belongs to.
  GIT_CONFIG_COUNT: '1',
  GIT_CONFIG_KEY_0: 'safe.directory',
  GIT_CONFIG_VALUE_0: '*',
  GIT_AUTHOR_NAME: 'Vendor',
  GIT_AUTHOR_EMAIL: 'vendor@example.org',
  GIT_COMMITTER_NAME: 'Vendor',
  GIT_COMMITTER_EMAIL: 'vendor@example.org',
};

export interface SandboxOptions {
  readonly parent?: string | undefined;
  readonly edit?: Edit;
  /** A folder of the fixtures whose files take the place of the ledger's own. */
  readonly overlay?: string | undefined;
}

/**
 * A vendor and one box: a bare upstream repository, the vendor's checkout that publishes to it, and a clone with data
 * in it that is the appliance. Its path holds a space. Nothing is installed or started yet.
 */
export class Sandbox {
  readonly root: string;
  readonly upstream: string;
  readonly vendor: string;
  /** The appliance. */
  readonly directory: string;
  /** In the place of the checkout that run.sh lies in. */
  readonly home: string;

  private constructor(root: string) {
    this.root = root;
    this.upstream = join(root, 'upstream.git');
    this.vendor = join(root, 'vendor');
    this.directory = join(root, 'box');
    this.home = join(root, 'home');
  }

  /**
   * @param options.parent where it shall lie: a disk of its own, say
   * @param options.edit what is different in the first release already
   */
  static async create({
    parent = roomyFolder(),
    edit = () => {},
    overlay,
  }: SandboxOptions = {}): Promise<Sandbox> {
    const sandbox = new Sandbox(mkdtempSync(join(parent, 'hold fast-')));
    mkdirSync(sandbox.home);
    for (const name of ['ledger', ...(overlay === undefined ? [] : [overlay])])
      cpSync(join(fixtures, name), sandbox.vendor, {
        recursive: true,
        filter: (path) => !/node_modules|dist$/.test(path),
      });
    writeTrackedOddities(sandbox.vendor);
    const api = await freePort();
    const web = await freePort([api]);
    replaceIn(sandbox.vendor, 'appliance.yaml', 'API_PORT', String(api));
    replaceIn(sandbox.vendor, 'appliance.yaml', 'WEB_PORT', String(web));
    await sandbox.git(sandbox.root, 'init', '--quiet', '--bare', '--initial-branch=main', sandbox.upstream);
    await sandbox.git(sandbox.vendor, 'init', '--quiet', '--initial-branch=main');
    await sandbox.git(sandbox.vendor, 'remote', 'add', 'origin', sandbox.upstream);
    await sandbox.publish(edit, { tag: 'v1' });
    await sandbox.git(sandbox.root, 'clone', '--quiet', sandbox.upstream, sandbox.directory);
    writeData(sandbox.directory);
    return sandbox;
  }

  async git(folder: string, ...args: string[]): Promise<string> {
    const { stdout } = await execa('git', args, { cwd: folder, env: gitEnvironment });
    return stdout;
  }

  /**
   * Publishes a release: the edit, committed and pushed to main.
   *
   * @param options.onto the commit it follows; what main was meanwhile is withdrawn. Main as it is by default
   */
  async publish(edit: Edit, options: { tag?: string; onto?: string } = {}): Promise<string> {
    if (options.onto !== undefined) await this.git(this.vendor, 'reset', '--quiet', '--hard', options.onto);
    edit(this.vendor);
    await this.git(this.vendor, 'add', '--all');
    await this.git(this.vendor, 'commit', '--quiet', '--allow-empty', '-m', options.tag ?? 'a release');
    if (options.tag !== undefined) await this.git(this.vendor, 'tag', options.tag);
    await this.git(this.vendor, 'push', '--quiet', '--force', '--tags', 'origin', 'main');
    return await this.git(this.vendor, 'rev-parse', 'HEAD');
  }

  async installedCommit(): Promise<string> {
    return await this.git(this.directory, 'rev-parse', 'HEAD');
  }

  /** Ends every process that carries this sandbox in its environment, whatever started it, and removes all. */
  async destroy(): Promise<void> {
    await endProcessesOf(this.root);
    const closed = join(this.directory, 'data/closed');
    if (existsSync(closed)) chmodSync(closed, 0o700);
    rmSync(this.root, { recursive: true, force: true, maxRetries: 5 });
  }
}

async function endProcessesOf(folder: string): Promise<void> {
  for (let round = 0; round < 100; round += 1) {
    const left = findProcessesOf(folder);
    if (left.length === 0) break;
    for (const pid of left) signal(pid);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** The same for any folder: what names it or works in it ends, and it goes. */
export async function removeWithProcesses(folder: string): Promise<void> {
  await endProcessesOf(folder);
  rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
}

/** Processes whose environment or command line names this folder, or that work in it. */
export function findProcessesOf(folder: string): number[] {
  return readdirSync('/proc')
    .map(Number)
    .filter((pid) => {
      if (!Number.isInteger(pid) || pid === process.pid) return false;
      try {
        return (
          readlinkSync(`/proc/${pid}/cwd`).startsWith(`${folder}/`) ||
          ['environ', 'cmdline'].some((name) => readFileSync(`/proc/${pid}/${name}`, 'utf8').includes(folder))
        );
      } catch {
        return false;
      }
    });
}

function signal(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It ended by itself.
  }
}
