import { join } from 'node:path';
import { localRuntime } from '../../../orchestrator/runtime/local.ts';
import { LxdClient } from '../../../orchestrator/runtime/lxd/client.ts';
import { layoutOf } from '../../../orchestrator/runtime/lxd/layout.ts';
import { CommandError, type Command, type Runtime } from '../../../orchestrator/runtime/runtime.ts';
import { configOf } from './an-appliance.ts';

/** What somebody had the daemon change. */
export interface Change {
  readonly method: string;
  /** Below /1.0, without its query. */
  readonly path: string;
  readonly body: unknown;
}

export type Thing = Record<string, unknown>;

/** What an answer that is whole ends with, where one is asked for (whole-output.ts). */
const markOf = ({ args }: Command) => args.find((one) => /^end-[0-9a-f]{12}$/.test(one)) ?? '';

/** Those that belong to this code. */
export const shippedDefinitions = join(import.meta.dirname, '../../../lxd');

const collections =
  /^(instances|networks|storage-pools|images\/aliases|storage-pools\/[^/]+\/volumes\/custom)$/;

/**
 * A machine on which the client of LXD talks to a table instead of a daemon. What is made is there from then on, and
 * what is started runs.
 */
export class FakeDaemon {
  /** What there is, by its path below /1.0. */
  readonly things = new Map<string, Thing>();
  readonly changes: Change[] = [];
  /** Commands of this machine that are no question to the daemon. */
  readonly commands: Command[] = [];
  /** Why the daemon does not do something. */
  refuses: (change: Change) => string | undefined = () => undefined;
  /** What commands that are no question print. */
  prints: (command: Command) => string = () => '';
  /** Says what is wrong with the client itself. */
  broken: (() => never) | undefined;

  constructor() {
    this.things.set('', { environment: { storage_supported_drivers: [{ Name: 'dir' }, { Name: 'btrfs' }] } });
  }

  readonly machine: Runtime = {
    ...localRuntime,
    run: async (command) => {
      const isQuestion = command.args[0] === 'query';
      if (!isQuestion) this.commands.push(command);
      return await Promise.resolve({
        exitCode: 0,
        stdout: isQuestion ? this.#answer(command) : `${this.prints(command)}${markOf(command)}`,
        stderr: '',
      });
    },
  };

  readonly client = new LxdClient(this.machine, 'lxc', 'default');

  /** What was changed, as `PUT instances/shop-backend`. */
  get changed(): string[] {
    return this.changes.map(({ method, path }) => `${method} ${path}`);
  }

  #answer({ args }: Command): string {
    this.broken?.();
    const method = args[args.indexOf('--request') + 1] ?? '';
    const target = args.find((one) => one.startsWith('/1.0')) ?? '';
    const path = target.replace(/^\/1\.0\/?/, '').replace(/\?.*$/, '');
    if (method === 'GET') {
      const thing = this.things.get(path);
      if (thing === undefined) throw this.#failure('Error: not found');
      return JSON.stringify(thing);
    }
    const data = args.indexOf('--data');
    const change = { method, path, body: data === -1 ? undefined : JSON.parse(args[data + 1] ?? '') };
    const why = this.refuses(change);
    if (why !== undefined) throw this.#failure(why);
    this.changes.push(change);
    this.#do(change);
    return '';
  }

  #do({ method, path, body }: Change): void {
    const state = /^(instances\/[^/]+)\/state$/.exec(path)?.[1];
    const thing = (body ?? {}) as Thing;
    if (state !== undefined) {
      const status = thing['action'] === 'stop' ? 'Stopped' : 'Running';
      this.things.set(state, { ...this.things.get(state), status });
    } else if (method === 'DELETE') this.things.delete(path);
    // Whether something runs is no part of what it is.
    else if (method === 'PUT') this.things.set(path, { ...thing, status: this.things.get(path)?.['status'] });
    else if (collections.test(path))
      this.things.set(`${path}/${String(thing['name'])}`, {
        ...thing,
        ...(path === 'instances' ? { status: 'Stopped' } : {}),
      });
    else throw this.#failure(`Error: ${method} of ${path} is nothing that this table knows`);
  }

  #failure(said: string): CommandError {
    return new CommandError(`lxc query failed (exit 1): ${said}`, { exitCode: 1, stdout: '', stderr: said });
  }
}

/** The layout of an appliance called shop, or another. */
export const layoutFor = (lxd: Record<string, unknown> = {}, name = 'shop') =>
  layoutOf(name, configOf({ name, lxd }).lxd);
