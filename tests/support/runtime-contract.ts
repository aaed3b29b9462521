import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test, vi } from 'vitest';
import type {
  Command,
  Runtime,
  RunOptions,
  ServiceLaunch,
  StopPolicy,
} from '../../orchestrator/runtime/runtime.ts';
import { CommandError } from '../../orchestrator/runtime/runtime.ts';

/** Where a contract is tried. */
export interface Ground {
  readonly runtime: () => Runtime;
  /** A folder that commands see by the same path, and may write to. */
  readonly folder: () => string;
}

/**
 * What every runtime promises, whether a command runs on this machine or in a container. Each process is looked for from
 * inside, by its arguments: what a machine sees of a container's processes differs.
 */
export function runtimeContract({ runtime, folder }: Ground): void {
  let counter = 0;
  const newRun = () => `/contract/${process.pid}-${(counter += 1)}`;
  const sh = (script: string, more: Partial<Command> = {}): Command => ({
    ...{ inside: 'backend', file: 'sh', args: ['-c', script], label: 'the script', cwd: folder() },
    ...more,
  });
  const run = async (command: Command, options?: RunOptions) => await runtime().run(command, options);
  const ours = (mark: string) => `sleep 60${mark}`;
  let marks = 0;
  /** A number of seconds that no other test sleeps. */
  const newMark = () => `.${process.pid}${(marks += 1)}`;
  const living = async (mark: string) => {
    const { stdout } = await run(sh(`ps ax -o args= | grep -c "^sleep 60[.]${mark.slice(1)}" || :`));
    return Number(stdout);
  };

  describe('a command', () => {
    test('tells what it printed, to the letter, and its exit code', async () => {
      expect(await run(sh('printf "out é\\n\\n"; printf err >&2'))).toEqual({
        ...{ exitCode: 0, stdout: 'out é\n\n', stderr: 'err' },
      });
      await expect(run(sh('echo out; echo no such table >&2; exit 7'))).rejects.toMatchObject({
        ...{ exitCode: 7, message: 'the script failed (exit 7): no such table' },
      });
      expect(await run(sh('exit 7'), { allowFailure: true })).toMatchObject({ exitCode: 7 });
    });

    test('gets its arguments, its folder, its input and its environment as they are', async () => {
      const odd = ['a b', "it's", '$HOME', '"q"', '%n', '\\', '', '`id`', 'ä\nö'];
      const { stdout } = await run({ ...sh(''), file: 'printf', args: ['%s|', ...odd] });
      expect(stdout).toBe(odd.map((one) => `${one}|`).join(''));
      expect((await run(sh('pwd'))).stdout).toBe(`${folder()}\n`);
      expect((await run(sh('cat', { input: 'line\n\0\nno end' }))).stdout).toBe('line\n\0\nno end');
      expect((await run(sh('cat'))).stdout).toBe('');
      const env = { PATH: '/usr/bin:/bin', SECRET: 'a"b\\c$d`e%f\n second line=3', EMPTY: '' };
      const said = (await run(sh('printf "%s|%s" "$SECRET" "${EMPTY-unset}"; env', { env }))).stdout;
      expect(said).toMatch(/^a"b\\c\$d`e%f\n second line=3\|(?!unset)/);
      expect(said).not.toMatch(/^(?:VITEST|npm_)/m);
    });

    test('that is no text, or much of it, comes through', async () => {
      const { stdout } = await run(sh(`printf '\\377\\0\\1'`, { encoding: 'latin1' }));
      expect(Buffer.from(stdout, 'latin1').toString('hex')).toBe('ff0001');
      expect((await run(sh('head -c 5000000 /dev/zero'))).stdout).toHaveLength(5_000_000);
    });

    test('is told line by line as it prints', async () => {
      const told: { line: string; at: number }[] = [];
      await run(sh('for i in 1 2 3; do echo $i; sleep 0.3; done'), {
        onLine: (line) => void told.push({ line, at: performance.now() }),
      });
      expect(told.map(({ line }) => line)).toEqual(['1', '2', '3']);
      expect((told[2]?.at ?? 0) - (told[0]?.at ?? 0)).toBeGreaterThan(300);
    });

    test('that cannot start says why', async () => {
      await expect(run({ inside: 'backend', file: 'nonesuch', args: [] })).rejects.toThrow(/nonesuch/);
      await expect(run(sh('pwd', { cwd: join(folder(), 'nix') }))).rejects.toThrow(CommandError);
    });

    test.each([['KILL'], ['TERM'], ['PIPE']])('that SIG%s ended is no success, and says so', async (name) => {
      const itself = sh(`echo out; kill -${name} $$; sleep 5`);
      const said = { exitCode: undefined, message: `the script was ended by SIG${name}`, stdout: 'out\n' };
      await expect(run(itself)).rejects.toMatchObject(said);
      await expect(run(itself, { allowFailure: true })).rejects.toMatchObject(said);
      // A shell tells of a child so: it has ended by itself.
      await expect(run(sh('exit 137'))).rejects.toMatchObject({ exitCode: 137 });
      await expect(run(sh('exit 255'))).rejects.toMatchObject({ exitCode: 255 });
    });

    test('shows nobody its environment in a list of processes', async () => {
      const secret = `secret-${process.pid}`;
      const env = { PATH: '/usr/bin:/bin', SECRET: secret };
      const watching = run(sh('sleep 0.5; echo done', { env }));
      await new Promise((resolve) => setTimeout(resolve, 300));
      const shown = readdirSync('/proc')
        .filter((pid) => /^\d+$/.test(pid))
        .map((pid) => {
          try {
            return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
          } catch {
            return '';
          }
        });
      expect(shown.filter((line) => line.includes(secret))).toEqual([]);
      expect((await watching).stdout).toBe('done\n');
    });
  });

  describe('a command that is stopped', () => {
    const family = (mark: string) =>
      `${ours(mark)} & (${ours(mark)} & setsid ${ours(mark)} &) ; ${ours(mark)}`;

    test.each([['by its time limit'], ['by the signal']])('%s ends with all that it started', async (how) => {
      const mark = newMark();
      const abort = new AbortController();
      const reason = new Error('Ctrl-C');
      const limit = how === 'by its time limit';
      const running = run(sh(family(mark), limit ? { timeoutMs: 700 } : {}), {
        runId: newRun(),
        signal: abort.signal,
      });
      if (!limit) setTimeout(() => abort.abort(reason), 700);
      await expect(running).rejects.toThrow(limit ? 'the script took longer than 700 ms' : 'Ctrl-C');
      // What left its group is recovery's to find, where a group is all that there is.
      expect(await living(mark)).toBeLessThanOrEqual(1);
    });

    test('is given the time to clean up', async () => {
      rmSync(join(folder(), 'done'), { force: true });
      const abort = new AbortController();
      const script = 'trap "echo cleaned >done; exit 0" TERM; sleep 60 & echo ready; wait';
      const onLine = () => abort.abort(new Error('stopped'));
      await expect(run(sh(script), { signal: abort.signal, onLine })).rejects.toThrow('stopped');
      expect(readFileSync(join(folder(), 'done'), 'utf8')).toBe('cleaned\n');
    });

    test('endRun ends what a killed run has left, of this run only, and may be run twice', async () => {
      const [mark, other] = [newMark(), newMark()];
      const [runId, otherRun] = [newRun(), newRun()];
      const stubborn = `trap "" TERM; setsid ${ours(mark)} & while :; do sleep 0.1; done`;
      const running = run(sh(stubborn), { runId }).catch(() => 'ended');
      const bystander = run(sh(`exec ${ours(other)}`), { runId: otherRun }).catch(() => 'ended');
      await vi.waitFor(async () => expect([await living(mark), await living(other)]).toEqual([1, 1]), {
        timeout: 8000,
      });
      await runtime().endRun(runId);
      expect(await running).toBe('ended');
      expect([await living(mark), await living(other)]).toEqual([0, 1]);
      await runtime().endRun(runId);
      await runtime().endRun(otherRun);
      expect(await bystander).toBe('ended');
    });
  });

  describe('a service', () => {
    const gently: StopPolicy = { signal: 'SIGTERM', timeoutMs: 8000, kill: 'group' };
    const launch = (script: string): ServiceLaunch => ({
      ...{ name: 'api', inside: 'backend', stateFolder: join(folder(), 'services') },
      ...{ argv: ['/bin/sh', '-c', script], cwd: folder(), logFile: join(folder(), 'api.log') },
      env: { PATH: '/usr/bin:/bin', GREETING: 'hello "you" $HOME 100%' },
    });
    const said = () => readFileSync(join(folder(), 'api.log'), 'utf8');
    const start = async (script: string) => {
      rmSync(join(folder(), 'api.log'), { force: true });
      const service = launch(script);
      await runtime().startService(service);
      return service;
    };

    test('runs with its environment, writes its log, and ends with all that it started', async () => {
      const mark = newMark();
      const service = await start(
        `echo "$GREETING"; ${ours(mark)} & (setsid ${ours(mark)} &); ${ours(mark)}`,
      );
      await vi.waitFor(async () => expect(await living(mark)).toBe(3), { timeout: 8000 });
      expect(said()).toContain('hello "you" $HOME 100%\n');
      expect(await runtime().serviceState(service)).toMatchObject({ running: true });
      expect(await runtime().startedServices(service.stateFolder)).toEqual(['api']);
      await runtime().stopService(service, gently);
      expect(await living(mark)).toBe(0);
      expect(await runtime().serviceState(service)).toEqual({ running: false });
      expect(await runtime().startedServices(service.stateFolder)).toEqual([]);
      await runtime().stopService(service, gently);
    });

    test('that ends is not running; one that ignores SIGTERM is killed when its time is over', async () => {
      const service = await start('echo ready');
      await vi.waitFor(
        async () => expect(await runtime().serviceState(service)).toEqual({ running: false }),
        { timeout: 8000 },
      );
      await runtime().stopService(service, gently);
      const mark = newMark();
      const stubborn = await start(`trap "" TERM; ${ours(mark)} & while :; do sleep 0.1; done`);
      await vi.waitFor(async () => expect(await living(mark)).toBe(1), { timeout: 8000 });
      await runtime().stopService(stubborn, { ...gently, timeoutMs: 1000 });
      expect(await living(mark)).toBe(0);
    });

    test('whose program is not there is told', async () => {
      const service = { ...launch(''), argv: [join(folder(), 'nonesuch')] };
      await expect(runtime().startService(service)).rejects.toThrow(/nonesuch|start of api/);
      await runtime().stopService(service, gently);
    });
  });
}
