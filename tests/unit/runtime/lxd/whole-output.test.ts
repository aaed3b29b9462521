import { describe, expect, test } from 'vitest';
import { localRuntime } from '../../../../orchestrator/runtime/local.ts';
import { LxdClient } from '../../../../orchestrator/runtime/lxd/client.ts';
import { runInside } from '../../../../orchestrator/runtime/lxd/command.ts';
import { askContainer } from '../../../../orchestrator/runtime/lxd/whole-output.ts';
import type { Command, CommandResult, Runtime } from '../../../../orchestrator/runtime/runtime.ts';

/** A client of LXD whose container is this machine, but for what it loses on the way. */
class LosingClient {
  readonly ran: Command[] = [];
  readonly #loses: (command: Command, nth: number) => boolean;

  constructor(loses: (command: Command, nth: number) => boolean) {
    this.#loses = loses;
  }

  readonly machine: Runtime = {
    ...localRuntime,
    run: async (command, options): Promise<CommandResult> => {
      this.ran.push(command);
      const nth = this.ran.length;
      const [file = '', ...args] = command.args.slice(command.args.indexOf('--') + 1);
      const result = await localRuntime.run({ ...command, file, args }, options);
      return this.#loses(command, nth) ? { ...result, stdout: result.stdout.slice(0, 2) } : result;
    },
  };

  readonly client = new LxdClient(this.machine, 'lxc', 'default');
}

describe('something that may be asked again', () => {
  test('is, until what it printed is whole', async () => {
    const losing = new LosingClient((_, nth) => nth < 4);
    const { stdout } = await askContainer(losing.client, 'shop-backend', [
      'printf',
      '%s',
      'the whole\nof it\n',
    ]);
    expect(stdout).toBe('the whole\nof it\n');
    expect(losing.ran).toHaveLength(4);
  });

  test('is asked again where the client waits for an end that was; but not without end', async () => {
    let left = 2;
    const losing = new LosingClient(() => false);
    const { machine } = losing;
    const client = new LxdClient(
      {
        ...machine,
        run: async (command, options) => {
          if (left-- > 0) throw new Error('lxc exec took longer than 30 s');
          return await machine.run(command, options);
        },
      },
      'lxc',
      'default',
    );
    expect((await askContainer(client, 'shop-backend', ['echo', 'x'])).stdout).toBe('x\n');
    left = 3;
    await expect(askContainer(client, 'shop-backend', ['echo', 'x'])).rejects.toThrow(
      'took longer than 30 s',
    );
    left = 1;
    await expect(askContainer(client, 'shop-backend', ['echo', 'x'], { timeoutMs: 5000 })).rejects.toThrow(
      'longer',
    );
  });

  test('is told as lost in the end, and never as nothing', async () => {
    const losing = new LosingClient(() => true);
    await expect(
      askContainer(losing.client, 'shop-backend', ['echo', 'x'], { label: 'the echo' }),
    ).rejects.toThrow('LXD lost what the echo printed');
    expect(losing.ran).toHaveLength(10);
  });

  test('fails as it does elsewhere, at once', async () => {
    const losing = new LosingClient(() => false);
    const script = ['sh', '-c', 'echo out; echo no such unit >&2; exit 4'];
    await expect(askContainer(losing.client, 'shop-backend', script, { label: 'it' })).rejects.toMatchObject({
      ...{ exitCode: 4, stdout: 'out\n', message: 'it failed (exit 4): no such unit' },
    });
    expect(losing.ran).toHaveLength(1);
    const allowed = await askContainer(losing.client, 'shop-backend', script, {}, { allowFailure: true });
    expect(allowed).toMatchObject({ exitCode: 4, stdout: 'out\n' });
  });
});

describe('a command', () => {
  /** The launcher, as its client would have run it in a container that keeps these bytes. */
  const keeping = (kept: string | undefined, brought: (unit: string) => string, exitCode = 0) => {
    const ran: string[] = [];
    const machine: Runtime = {
      ...localRuntime,
      run: async ({ args }) => {
        const argv = args.slice(args.indexOf('--') + 1);
        ran.push(
          argv.find((one) => one === 'cat') ?? (argv[2]?.includes('systemd-run') ? 'launch' : 'other'),
        );
        if (ran.at(-1) === 'launch')
          return await Promise.resolve({ exitCode, stdout: brought(argv[4] ?? ''), stderr: '' });
        return await Promise.resolve(
          kept === undefined
            ? { exitCode: 1, stdout: argv[3] ?? '', stderr: 'No such file' }
            : { exitCode: 0, stdout: `${kept}${argv[3] ?? ''}`, stderr: '' },
        );
      },
    };
    return { ran, client: new LxdClient(machine, 'lxc', 'default') };
  };
  const command: Command = { file: 'pg_dump', args: ['--version'], label: 'pg_dump' };

  test('whose output arrived is not asked about any more', async () => {
    const { ran, client } = keeping('never', (unit) => `pg_dump 15\n${unit}`);
    expect(await runInside(client, 'shop-postgres', command)).toMatchObject({
      exitCode: 0,
      stdout: 'pg_dump 15\n',
    });
    expect(ran).toEqual(['launch']);
  });

  test('is not run again where its output was lost: that is fetched', async () => {
    const { ran, client } = keeping('pg_dump 15\n', () => '');
    expect(await runInside(client, 'shop-postgres', command)).toMatchObject({
      exitCode: 0,
      stdout: 'pg_dump 15\n',
    });
    expect(ran).toEqual(['launch', 'cat']);
  });

  test('of which nothing is kept has failed, since nobody knows what it said', async () => {
    const { client } = keeping(undefined, () => 'pg_du');
    await expect(runInside(client, 'shop-postgres', command)).rejects.toThrow(
      'LXD lost what pg_dump printed',
    );
  });

  test('that failed says why, though its output was lost', async () => {
    const { client } = keeping('no such table\n', () => '', 7);
    await expect(runInside(client, 'shop-postgres', command)).rejects.toThrow(
      'pg_dump failed (exit 7): no such table',
    );
  });
});
