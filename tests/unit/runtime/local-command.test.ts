import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { findByEnvironment, signalProcess } from '../../../orchestrator/lib/processes.ts';
import { localRuntime } from '../../../orchestrator/runtime/local.ts';
import { CommandError, type Command, type RunOptions } from '../../../orchestrator/runtime/runtime.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const sh = (script: string, more: Partial<Command> = {}): Command => ({
  file: 'sh',
  args: ['-c', script],
  label: 'the script',
  ...more,
});
const run = async (command: Command, options?: RunOptions) => await localRuntime.run(command, options);

/** What a command of this run has left behind. */
const leftOf = (runId: string): number[] => findByEnvironment('HOLDFAST_RUN', runId);
let counter = 0;
const newRun = (): string => `test-${process.pid}-${(counter += 1)}`;

afterEach(() => vi.unstubAllEnvs());

describe('a command that ends', () => {
  test('well tells what it printed, to the letter', async () => {
    expect(await run(sh('printf "out é\\n\\n"; printf err >&2'))).toEqual({
      exitCode: 0,
      stdout: 'out é\n\n',
      stderr: 'err',
    });
  });

  test('well has ended, though a daemon that it left behind holds its output', async () => {
    const result = await run(sh('echo out; setsid sleep 30 & echo $!'));
    const [said, daemon] = result.stdout.split('\n');
    signalProcess(Number(daemon), 'SIGKILL');
    expect(said).toBe('out');
  });

  test(
    'well is told line by line; of a line without end the beginning, and no part of a secret',
    { timeout: 120_000 },
    async () => {
      const told: string[] = [];
      const long = `head -c 300000000 /dev/zero | tr '\\0' x`;
      const secret = `head -c 1048000 /dev/zero | tr '\\0' y; printf ' '; head -c 1000 /dev/zero | tr '\\0' s`;
      const { stdout } = await run(sh(`${long}; printf 'y\\nnext\\r\\n\\n'; ${secret}; echo; printf last`), {
        onLine: (line) => void told.push(line),
      });
      expect(
        told.map((line) => `${line.slice(0, 4)} ${line.length > 1_048_700 ? 'too long' : line.slice(-30)}`),
      ).toEqual([
        expect.stringMatching(/^xxxx x+ \.\.\. \(this line goes on\)$/),
        'next next',
        expect.stringMatching(/^yyyy y+ \.\.\. \(this line goes on\)$/),
        'last last',
      ]);
      expect(stdout.length).toBeLessThan(3_000_000);
      expect(stdout.slice(-5)).toBe('\nlast');
    },
  );

  test('well has ended, where it is told line by line, too, though a daemon holds its output', async () => {
    const told: string[] = [];
    const result = await run(sh('echo out; setsid sleep 30 & echo $!'), {
      onLine: (line) => void told.push(line),
    });
    signalProcess(Number(told[1]), 'SIGKILL');
    expect(result.stdout).toBe(`out\n${told[1]}\n`);
  });

  test('badly is an error with its code and the end of what it said', async () => {
    const failing = run(sh('echo out; echo first >&2; echo last >&2; exit 7'));
    await expect(failing).rejects.toThrow(CommandError);
    await expect(failing).rejects.toMatchObject({
      message: 'the script failed (exit 7): first\nlast',
      exitCode: 7,
      stdout: 'out\n',
      stderr: 'first\nlast\n',
    });
  });

  test('badly without a word on standard error is told by what it printed otherwise', async () => {
    await expect(run(sh('echo out; exit 1'))).rejects.toThrow('the script failed (exit 1): out');
    await expect(run(sh('exit 1'))).rejects.toThrow(/^the script failed \(exit 1\)$/);
  });

  test('badly, where that is an answer, is no error', async () => {
    expect(await run(sh('exit 3'), { allowFailure: true })).toMatchObject({ exitCode: 3 });
  });

  test('by a signal is an error, even where a failure is allowed', async () => {
    await expect(run(sh('kill -KILL $$'), { allowFailure: true })).rejects.toThrow(
      'the script was ended by SIGKILL',
    );
  });
});

test('a program that is not there is told by its name', async () => {
  await expect(run({ file: '/no/such/program', args: [] }, { allowFailure: true })).rejects.toThrow(
    '/no/such/program spawn /no/such/program ENOENT',
  );
});

test('arguments reach the program as they are: no shell reads them', async () => {
  const args = ['a b', '', '$HOME', '*', '"', "'", ';', 'é'];
  const { stdout } = await run({
    file: process.execPath,
    args: ['-p', 'JSON.stringify(process.argv.slice(1))', '--', ...args],
  });
  expect(JSON.parse(stdout)).toEqual(args);
});

test('standard input is what was given, and nothing otherwise', async () => {
  expect((await run({ file: 'cat', args: [], input: 'secret\n' })).stdout).toBe('secret\n');
  expect((await run({ file: 'cat', args: [] })).stdout).toBe('');
  const many = Buffer.alloc(1 << 20, 'x');
  expect((await run({ file: 'wc', args: ['-c'], input: many })).stdout.trim()).toBe(String(many.length));
});

test('bytes that are no UTF-8 come through as latin1', async () => {
  const bytes = Buffer.from([0xff, 0x00, 0x0a, 0x80]);
  const { stdout } = await run({ file: 'cat', args: [], input: bytes, encoding: 'latin1' });
  expect(Buffer.from(stdout, 'latin1')).toEqual(bytes);
});

describe('the environment', () => {
  const seen = async (more: Partial<Command>, options?: RunOptions) =>
    (await run({ file: '/usr/bin/env', args: [], ...more }, options)).stdout.trimEnd().split('\n').toSorted();

  test('is ours where none is given, with what is added', async () => {
    vi.stubEnv('HOLDFAST_TEST', 'ours');
    expect(await seen({ addEnv: { ADDED: 'x' } })).toEqual(
      expect.arrayContaining(['HOLDFAST_TEST=ours', 'ADDED=x']),
    );
  });

  test('is exactly the one that is given', async () => {
    vi.stubEnv('HOLDFAST_TEST', 'ours');
    expect(await seen({ env: { ONLY: 'this' }, addEnv: { ADDED: 'x' } }, { runId: 'r1' })).toEqual([
      'ADDED=x',
      'HOLDFAST_RUN=r1',
      'ONLY=this',
    ]);
  });
});

test('it runs in the folder that it is given, and can be handed one open', async () => {
  const folder = temporaryFolder();
  writeFileSync(join(folder, 'x'), '');
  expect((await run({ file: 'pwd', args: [], cwd: folder })).stdout.trim()).toBe(folder);
  const open = readdirSync('/proc/self/fd').length;
  expect((await run({ file: 'ls', args: ['/proc/self/fd/3/'], openDirectory: folder })).stdout).toBe('x\n');
  expect(readdirSync('/proc/self/fd').length).toBeLessThanOrEqual(open);
});

test('lines are told as they come, whatever ends them, and the last one without an end', async () => {
  const lines: string[] = [];
  const script =
    'printf "one\\ntw"; sleep 0.05; printf "o\\r\\n10%%\\r20%%\\n\\n"; printf "err" >&2; sleep 0.05; printf "last é"';
  await run(sh(script), { onLine: (line) => lines.push(line) });
  expect(lines.filter((line) => line !== 'err')).toEqual(['one', 'two', '10%', '20%', 'last é']);
  expect(lines).toContain('err');
});

/** Runs a command and stops it when it has printed something. */
async function runUntilReady(command: Command, options: RunOptions = {}): Promise<unknown> {
  const abort = new AbortController();
  const onLine = () => abort.abort(new Error('stopped'));
  return await run(command, { ...options, signal: abort.signal, onLine });
}

describe('a command that is stopped', () => {
  const family = 'sleep 60 & (sleep 60 & sleep 60) & sleep 60';

  test('by its time limit ends with everything it started, and says so', async () => {
    const runId = newRun();
    await expect(run(sh(family, { timeoutMs: 100 }), { runId })).rejects.toThrow(
      'the script took longer than 100 ms',
    );
    expect(leftOf(runId)).toEqual([]);
  });

  test('by the signal ends with everything it started, and throws the reason', async () => {
    const runId = newRun();
    const abort = new AbortController();
    const reason = new Error('Ctrl-C');
    const running = run(sh(family), { runId, signal: abort.signal });
    setTimeout(() => abort.abort(reason), 100);
    await expect(running).rejects.toBe(reason);
    expect(leftOf(runId)).toEqual([]);
  });

  test('before it began does not begin', async () => {
    const folder = temporaryFolder();
    await expect(
      run(sh('touch begun', { cwd: folder }), { signal: AbortSignal.abort(new Error('no')) }),
    ).rejects.toThrow('no');
    expect(readdirSync(folder)).toEqual([]);
  });

  test('and cleans up on SIGTERM is given the time to', async () => {
    const folder = temporaryFolder();
    const script = 'trap "echo cleaned >done; exit 0" TERM; sleep 60 & echo ready; wait';
    await expect(runUntilReady(sh(script, { cwd: folder }))).rejects.toThrow('stopped');
    expect(readdirSync(folder)).toEqual(['done']);
  });

  test('does not keep us waiting for what left its group with our pipes in its hands', async () => {
    const runId = newRun();
    const startedAt = performance.now();
    const script = 'setsid sh -c "echo ready; exec sleep 60" & sleep 60';
    await expect(runUntilReady(sh(script), { runId })).rejects.toThrow('stopped');
    expect(performance.now() - startedAt).toBeLessThan(10_000);
    // Recovery ends what is left: it carries the run's id.
    expect(await localRuntime.endRun(runId)).toBe(1);
    expect(leftOf(runId)).toEqual([]);
  });
});

test('endRun ends what ignores SIGTERM, of this run only, and may be run twice', async () => {
  const [runId, other] = [newRun(), newRun()];
  const ready = vi.fn<() => void>();
  const script = 'trap "" TERM; echo ready; while :; do sleep 0.05; done';
  const stubborn = run(sh(script), { runId, onLine: ready }).catch(() => 'ended');
  const bystander = run({ file: 'sleep', args: ['60'] }, { runId: other }).catch(() => 'ended');
  await vi.waitFor(() => expect([ready.mock.calls.length, leftOf(other).length]).toEqual([1, 1]), {
    timeout: 8000,
  });
  expect(await localRuntime.endRun(runId)).toBeGreaterThan(0);
  expect(await stubborn).toBe('ended');
  expect(await localRuntime.endRun(runId)).toBe(0);
  expect(leftOf(other)).toHaveLength(1);
  for (const pid of leftOf(other)) signalProcess(pid, 'SIGKILL');
  await bystander;
});
