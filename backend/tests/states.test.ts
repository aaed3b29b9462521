import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatProgress } from '../src/data-migrations/progress.ts';
import { createProgress } from '../src/data-migrations/progress.ts';
import type { Progress } from '../src/data-migrations/protocol.ts';
import { Refusal } from '../src/data-migrations/refusal.ts';
import { isDone, transition, TRANSITIONS, type Action, type State } from '../src/data-migrations/states.ts';

const STATES = Object.keys(TRANSITIONS) as State[];

await test('what is done never starts by itself', () => {
  for (const state of STATES) {
    if (isDone(state)) assert.throws(() => transition('001_a', state, 'start'), Refusal);
    else assert.equal(transition('001_a', state, 'start'), 'RUNNING');
  }
});

await test('only what runs can complete, fail or be found needless', () => {
  for (const action of ['complete', 'fail', 'find-needless'] satisfies Action[])
    for (const state of STATES)
      if (state !== 'RUNNING') assert.throws(() => transition('001_a', state, action), Refusal);
});

await test('a transition that there is not is refused with what there is', () => {
  assert.throws(
    () => transition('001_a', 'COMPLETED', 'retry'),
    /cannot retry 001_a: it is COMPLETED\. Nothing was changed\..*--rerun/,
  );
  assert.throws(() => transition('001_a', 'PENDING', 'take-back'), /cannot take back 001_a/);
});

await test('progress says how far, how fast and how long, not more often than one can read', () => {
  let now = 0;
  const told: Progress[] = [];
  const progress = createProgress(
    (one) => told.push(one),
    () => now,
  );
  for (let step = 1; step <= 100; step += 1) {
    now = step * 100;
    progress(step * 1000, 100_000);
  }
  assert.ok(told.length <= 21, `${told.length} lines`);
  assert.deepEqual(told.at(-1), { done: 100_000, total: 100_000, rate: 10_000, secondsLeft: 0 });
  const half = told.find(({ done }) => done >= 50_000);
  assert.equal(half && formatProgress(half), '51,000 of 100,000 rows (51 %), 10,000 rows/s, 5 s left');
  assert.equal(formatProgress({ done: 12, rate: 3 }), '12 rows, 3 rows/s');
});

await test('the rate is that of now, not of the beginning', () => {
  let now = 0;
  const told: Progress[] = [];
  const progress = createProgress(
    (one) => told.push(one),
    () => now,
  );
  for (let second = 1; second <= 60; second += 1) {
    now = second * 1000;
    progress(second <= 30 ? second * 1000 : 30_000 + second, 100_000);
  }
  assert.ok((told.at(-1)?.rate ?? 1000) <= 1, JSON.stringify(told.at(-1)));
});
