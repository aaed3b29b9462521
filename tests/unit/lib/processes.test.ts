import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setImmediate } from 'node:timers/promises';
import { expect, test } from 'vitest';
import {
  commandName,
  findByEnvironment,
  findByGroup,
  identify,
  isAlive,
  mayHaveEnvironment,
  signalProcess,
} from '../../../orchestrator/lib/processes.ts';
import { waitFor } from '../../../orchestrator/lib/wait.ts';

test('we are alive and can say who we are', () => {
  const identity = identify(process.pid);
  expect(identity?.pid).toBe(process.pid);
  expect(identity && isAlive(identity)).toBe(true);
});

test('the same number is another process if it started at another time, or before a reboot', () => {
  const identity = identify(process.pid);
  if (!identity) throw new Error('we are not');
  expect(isAlive({ ...identity, startTicks: `${Number(identity.startTicks) + 1}` })).toBe(false);
  expect(isAlive({ ...identity, bootId: 'another' })).toBe(false);
});

test('a process that ended is gone, and a signal to it is no error', async () => {
  const child = spawn('true');
  await once(child, 'exit');
  expect(identify(child.pid ?? 0)).toBeUndefined();
  signalProcess(child.pid ?? 0, 'SIGTERM');
});

test('a process that ended and was not waited for (a zombie) is gone', async () => {
  // The shell does not wait for its child: it becomes another program, which does not know of it.
  const parent = spawn('sh', ['-c', 'true & echo $!; exec sleep 30'], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const [line] = (await once(parent.stdout, 'data')) as [Buffer];
  const pid = Number(line.toString());
  const gone = await waitFor(() => (identify(pid) === undefined ? true : undefined), {
    timeoutMs: 8000,
    everyMs: 5,
  });
  parent.kill('SIGKILL');
  expect(gone).toBe(true);
});

test('a process whose name holds spaces and parentheses is read rightly', async () => {
  const named = spawn(
    process.execPath,
    ['-e', 'process.title = ") R 1 (x) "; console.log(1); setTimeout(() => {}, 30000)'],
    {
      detached: true,
      stdio: ['ignore', 'pipe', 'ignore'],
    },
  );
  await once(named.stdout, 'data');
  expect(findByGroup(named.pid ?? 0)).toEqual([named.pid]);
  named.kill('SIGKILL');
});

test('a grandchild that left its group and its parent is found by its environment', async () => {
  const mark = `${process.pid}-${Date.now()}`;
  const child = spawn('sh', ['-c', 'setsid sleep 30 >/dev/null 2>&1 & exit 0'], {
    env: { ...process.env, HOLDFAST_TEST: mark },
    detached: true,
  });
  await once(child, 'exit');
  const found = await waitFor(
    () => {
      const pids = findByEnvironment('HOLDFAST_TEST', mark);
      return pids.length === 1 && findByGroup(child.pid ?? 0).length === 0 ? pids : undefined;
    },
    { timeoutMs: 8000, everyMs: 5 },
  );
  expect(found).toHaveLength(1);
  expect(findByEnvironment('HOLDFAST_TEST', mark.slice(0, -1))).toEqual([]);
  for (const pid of found ?? []) signalProcess(pid, 'SIGKILL');
});

test('a process that is being executed is never taken for one that lacks the variable', async () => {
  // It becomes another program over and over; in between, the kernel shows no environment for a moment.
  const again = '[ "$1" -le 0 ] || exec bash -c "$2" again "$(($1 - 1))" "$2"; exec sleep 30';
  const child = spawn('bash', ['-c', again, 'first', '600', again], {
    env: { ...process.env, HOLDFAST_TEST: 'executed' },
    stdio: 'ignore',
  });
  await once(child, 'spawn');
  const pid = child.pid ?? 0;
  let without = 0;
  let looks = 0;
  while (commandName(pid) !== 'sleep') {
    if (!mayHaveEnvironment(pid, 'HOLDFAST_TEST', 'executed')) without += 1;
    looks += 1;
    if (looks % 1000 === 0) await setImmediate();
  }
  // It has the new name a moment before it has its environment.
  const isTold = await waitFor(
    () => (mayHaveEnvironment(pid, 'HOLDFAST_TEST', 'another') ? undefined : true),
    { timeoutMs: 8000, everyMs: 5 },
  );
  child.kill('SIGKILL');
  expect({ without, isTold }).toEqual({ without: 0, isTold: true });
  expect(looks).toBeGreaterThan(100);
});
