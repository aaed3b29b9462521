import { answering } from './daemon.ts';
import { CommandError, type Command, type Runtime } from '../runtime.ts';

/** What the daemon says of an instance, as far as it is asked for. */
export interface Instance {
  readonly name: string;
  readonly status: string;
  readonly description: string;
  readonly config: Readonly<Record<string, string>>;
  readonly devices: Readonly<Record<string, Readonly<Record<string, string>>>>;
}

/** The client of LXD or Incus: both understand the same commands and the same interface. */
export class LxdClient {
  readonly program: string;
  /** This machine, where the client runs. */
  readonly machine: Runtime;
  readonly project: string;

  constructor(machine: Runtime, program: string, project: string) {
    this.machine = answering(machine, program);
    this.program = program;
    this.project = project;
  }

  /** A command inside a container, as its root, with nothing of our terminal. */
  exec(container: string, argv: readonly string[]): Command {
    return this.command(['exec', '-T', container, '--', ...argv]);
  }

  /** A command of the client. */
  command(args: readonly string[]): Command {
    return {
      file: this.program,
      args: ['--project', this.project, ...args],
      label: `${this.program} ${args[0] ?? ''}`,
    };
  }

  /**
   * Asks the daemon for something.
   *
   * @param path below /1.0, such as `networks/hf-shop`
   * @returns undefined where there is no such thing
   */
  async read<T>(path: string): Promise<T | undefined> {
    try {
      return await this.#request<T>('GET', path, undefined);
    } catch (error) {
      if (error instanceof CommandError && /not found/i.test(error.message)) return undefined;
      throw error;
    }
  }

  /** Has the daemon change something, and waits until it has. */
  async change(method: 'POST' | 'PUT' | 'PATCH' | 'DELETE', path: string, body?: unknown): Promise<void> {
    await this.#request<unknown>(method, path, body);
  }

  async #request<T>(method: string, path: string, body: unknown): Promise<T> {
    const [place = '', query] = path.split('?');
    const target = ['/1.0', ...place.split('/').filter((part) => part !== '')];
    const scope = `project=${encodeURIComponent(this.project)}`;
    const about = `${target.join('/')}?${query === undefined ? scope : `${query}&${scope}`}`;
    const { stdout } = await this.machine.run({
      file: this.program,
      args: [
        ...['query', '--wait', '--request', method, about],
        ...(body === undefined ? [] : ['--data', JSON.stringify(body)]),
      ],
      label: `${this.program} query ${method} ${place}`,
      timeoutMs: 600_000,
    });
    return (stdout.trim() === '' ? undefined : JSON.parse(stdout)) as T;
  }
}
