import { expect, test } from 'vitest';
import { waitFor } from '../../../orchestrator/lib/wait.ts';

test('it asks until there is an answer', async () => {
  let asked = 0;
  const answer = await waitFor(() => ((asked += 1) < 3 ? undefined : 'here'), {
    timeoutMs: 1000,
    everyMs: 1,
  });
  expect([answer, asked]).toEqual(['here', 3]);
});

test('an answer that is false or nothing but not undefined is an answer', async () => {
  expect(await waitFor(() => false, { timeoutMs: 1000 })).toBe(false);
  expect(await waitFor(() => null, { timeoutMs: 1000 })).toBe(null);
});

test('it asks at least once, and says undefined when the time is over', async () => {
  let asked = 0;
  const answer = await waitFor(() => void (asked += 1), { timeoutMs: 0, everyMs: 1 });
  expect([answer, asked]).toEqual([undefined, 1]);
});

test('it throws what the question throws', async () => {
  await expect(waitFor(() => Promise.reject(new Error('no')), { timeoutMs: 1000 })).rejects.toThrow('no');
});

test('it stops when it is told to, with the reason', async () => {
  const abort = new AbortController();
  const waiting = waitFor(() => undefined, { timeoutMs: 5000, everyMs: 1, signal: abort.signal });
  abort.abort(new Error('enough'));
  await expect(waiting).rejects.toThrow('enough');
});
