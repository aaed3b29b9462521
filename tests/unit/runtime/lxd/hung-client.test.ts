import { expect, test } from 'vitest';
import { localRuntime } from '../../../../orchestrator/runtime/local.ts';
import { LxdClient } from '../../../../orchestrator/runtime/lxd/client.ts';
import { endingWith } from '../../../../orchestrator/runtime/lxd/hung-client.ts';
import { CommandError, type CommandResult, type Runtime } from '../../../../orchestrator/runtime/runtime.ts';

/** A client that never comes back unless it is ended, of a container that answers these, and the last one for ever. */
function hanging(...answers: (string | Error)[]) {
  const asked: unknown[] = [];
  const machine: Runtime = {
    ...localRuntime,
    run: async ({ args, input }) => {
      asked.push(input);
      const answer = answers.length > 1 ? answers.shift() : answers[0];
      if (answer instanceof Error) throw answer;
      const mark = args.find((one) => /^end-[0-9a-f]{12}$/.test(one)) ?? '';
      return await Promise.resolve({ exitCode: 0, stdout: `${answer}\n${mark}`, stderr: '' });
    },
  };
  const end = new AbortController();
  const running = new Promise<CommandResult>((_resolve, reject) => {
    end.signal.addEventListener('abort', () => reject(end.signal.reason as Error));
  });
  const watched = {
    client: new LxdClient(machine, 'lxc', 'default'),
    container: 'shop-backend',
    unit: 'hf-run-1',
    end,
  };
  return { asked, running, watched };
}

test('a client that hangs is ended once the container has said twice that the command has', async () => {
  const { asked, running, watched } = hanging(
    'unknown',
    'lives',
    new CommandError('away', { stdout: '', stderr: '' }),
    '7',
  );
  expect(await endingWith(running, watched, 5)).toEqual({ exitCode: 7, stdout: '', stderr: '' });
  expect(asked).toHaveLength(5);
  expect(asked[0]).toBe('hf-run-1\n');
});

test('one that takes its time is left alone, and so is one that comes back', async () => {
  const { asked, running, watched } = hanging('lives');
  const result = { exitCode: 0, stdout: 'done', stderr: '' };
  const slow = new Promise<CommandResult>((resolve) => setTimeout(() => resolve(result), 60));
  expect(await endingWith(Promise.race([running, slow]), watched, 5)).toBe(result);
  expect(watched.end.signal.aborted).toBe(false);
  const until = asked.length;
  await new Promise((resolve) => setTimeout(resolve, 40));
  expect(asked.length).toBeLessThanOrEqual(until + 1);
});

test('one that is ended for another reason says that', async () => {
  const { running, watched } = hanging('lives');
  setTimeout(() => watched.end.abort(new Error('Ctrl-C')), 20);
  await expect(endingWith(running, watched, 5)).rejects.toThrow('Ctrl-C');
});
