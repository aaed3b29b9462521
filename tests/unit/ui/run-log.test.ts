import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import { Secrets } from '../../../orchestrator/lib/secrets.ts';
import type { Event } from '../../../orchestrator/pipeline/events.ts';
import { both, logListener, logPath } from '../../../orchestrator/ui/run-log.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const events: readonly Event[] = [
  { type: 'run', run: 'r1', kind: 'update', from: '1', to: '2' },
  {
    type: 'step',
    step: 'migrate-data',
    half: 'apply',
    title: 'Data migrations',
    state: 'failed',
    message: 'no',
    ms: 3,
  },
  {
    ...{ type: 'step', step: 'migrate-schema', half: 'apply', title: 'Schema migrations' },
    ...{ state: 'skipped', message: 'none pending' },
  },
  { type: 'output', line: 'password is hunter22 "\u001b[31m"' },
  { type: 'note', message: 'http://127.0.0.1:4000/ a@b' },
  { type: 'warning', message: 'postgres://u:other@h' },
  { type: 'restore', phase: 'files', state: 'started' },
  { type: 'result', ok: false, exitCode: 10, outcome: 'restored', pids: [120_000] },
];

function logged(): { lines: Record<string, unknown>[]; folder: string } {
  const folder = join(temporaryFolder(), 'runs/r1');
  const secrets = new Secrets();
  for (const secret of ['hunter22', '120000', 'output']) secrets.add(secret);
  const listener = logListener(folder, secrets);
  for (const event of events) listener(event);
  const lines = readFileSync(logPath(folder), 'utf8').trimEnd().split('\n');
  return { folder, lines: lines.map((line) => JSON.parse(line) as Record<string, unknown>) };
}

test('everything is one line of JSON with its time and level', () => {
  const { lines } = logged();
  expect(lines.map(({ type, level }) => `${String(type)} ${String(level)}`)).toEqual([
    'run info',
    'step error',
    'step info',
    'output info',
    'note info',
    'warning warn',
    'restore info',
    'result info',
  ]);
  for (const { time } of lines) expect(Date.parse(String(time))).not.toBeNaN();
});

test('a line of a step names the step, whatever became of it', () => {
  const { lines } = logged();
  expect(lines[1]).toMatchObject({ msg: 'migrate-data failed: no', step: 'migrate-data' });
  expect(lines[2]).toMatchObject({ msg: 'migrate-schema skipped: none pending' });
});

test('secrets are masked, and what programs read is not', () => {
  const { lines } = logged();
  expect(lines[3]?.['msg']).toBe('password is *** "\u001b[31m"');
  expect(lines[5]?.['msg']).toBe('postgres://u:***@h');
  expect(lines[7]?.['pids']).toEqual([120_000]);
});

test('it is 0600: what programs print may hold anything', () => {
  expect(statSync(logPath(logged().folder)).mode & 0o777).toBe(0o600);
});

test('several listeners hear the same', () => {
  const [one, other] = [vi.fn<(event: Event) => void>(), vi.fn<(event: Event) => void>()];
  const event: Event = { type: 'note', message: 'x' };
  both(one, other)(event);
  expect([one.mock.calls, other.mock.calls]).toEqual([[[event]], [[event]]]);
});
