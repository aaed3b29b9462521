import assert from 'node:assert/strict';
import { afterEach, beforeEach, mock, test } from 'node:test';
import { watchSilence } from '../src/data-migrations/silence.ts';

/* A migration that never ends says nothing; its runner does. */

const MINUTE = 60_000;

beforeEach(() => mock.timers.enable({ apis: ['setInterval'] }));
afterEach(() => mock.timers.reset());

await test('silent for long: told again and again, with the way to end it', () => {
  const said: string[] = [];
  const silence = watchSilence((line) => said.push(line));
  mock.timers.tick(4 * MINUTE);
  assert.deepEqual(said, []);
  mock.timers.tick(6 * MINUTE);
  assert.equal(said.length, 2);
  assert.match(
    said[1] ?? '',
    /still at work after 10 min, and silent for 10 min\..*Ctrl-C stops it, --timeout/,
  );
  silence.end();
  mock.timers.tick(60 * MINUTE);
  assert.equal(said.length, 2);
});

await test('one that gives signs is left alone', () => {
  const said: string[] = [];
  const silence = watchSilence((line) => said.push(line));
  for (let minute = 0; minute < 30; minute += 1) {
    mock.timers.tick(MINUTE);
    silence.heard();
  }
  assert.deepEqual(said, []);
  silence.end();
});
