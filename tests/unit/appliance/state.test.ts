import { mkdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { newRunId, StateDirectory } from '../../../orchestrator/appliance/state.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const umaskBefore = process.umask();
afterEach(() => void process.umask(umaskBefore));

test.each([0o000, 0o077])('every folder of it is 0700 under umask %o', (umask) => {
  process.umask(umask);
  const state = new StateDirectory(join(temporaryFolder(), 'state'));
  state.ensure();
  state.ensure();
  for (const folder of [state.path, state.runs, state.products, state.services, state.logs])
    expect(statSync(folder).mode & 0o777).toBe(0o700);
});

test('the number of a run only goes up, whatever happens to its file', () => {
  const state = new StateDirectory(temporaryFolder());
  expect([state.nextSequence(), state.nextSequence(), new StateDirectory(state.path).nextSequence()]).toEqual(
    [1, 2, 3],
  );
});

test('one run is unfinished, or none', () => {
  const state = new StateDirectory(temporaryFolder());
  expect(state.unfinishedRun()).toBeUndefined();
  state.markUnfinished('20261120-021403');
  expect(state.unfinishedRun()).toBe('20261120-021403');
  state.clearUnfinished();
  state.clearUnfinished();
  expect(state.unfinishedRun()).toBeUndefined();
});

test('runs are those that have a journal, oldest first', () => {
  const state = new StateDirectory(temporaryFolder());
  expect(state.runIds()).toEqual([]);
  for (const id of ['20261120-021403-2', '20261119-235959', '20261120-021403']) {
    mkdirSync(state.run(id), { recursive: true });
    writeFileSync(join(state.run(id), 'journal.ndjson'), '');
  }
  mkdirSync(state.run('20261121-000000'));
  expect(state.runIds()).toEqual(['20261119-235959', '20261120-021403', '20261120-021403-2']);
});

test('a run is called after the clock, and after a taken name comes the next', () => {
  const now = new Date(2026, 10, 20, 2, 14, 3);
  expect(newRunId(now, () => false)).toBe('20261120-021403');
  const taken = new Set(['20261120-021403', '20261120-021403-2']);
  expect(newRunId(now, (id) => taken.has(id))).toBe('20261120-021403-3');
});
