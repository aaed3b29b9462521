import { expect, test } from 'vitest';
import { doorFor, spellCommands } from '../../../orchestrator/ui/door.ts';

test('a command is typed as the caller typed his', () => {
  expect(doorFor(undefined, undefined)).toBe('./run.sh');
  expect(doorFor('./run.sh', undefined)).toBe('./run.sh');
  // `bash run.sh`: no shell finds it by this name.
  expect(doorFor('run.sh', undefined)).toBe('./run.sh');
  expect(doorFor('/opt/holdfast/run.sh', '/srv/my box')).toBe(
    "/opt/holdfast/run.sh --appliance '/srv/my box'",
  );
  expect(doorFor('./run.sh', "it's")).toBe(`./run.sh --appliance 'it'\\''s'`);
});

test('advice names the appliance that the caller named; what is not advice stays as it is', () => {
  const spell = (text: string) => spellCommands(text, './run.sh --appliance $1');
  expect(spell('Next: ./run.sh update   ./run.sh backup create')).toBe(
    'Next: ./run.sh --appliance $1 update   ./run.sh --appliance $1 backup create',
  );
  expect(spell('Next: ./run.sh data retry 003_x')).toBe('Next: ./run.sh --appliance $1 data retry 003_x');
  for (const command of [
    'migrate status',
    'db reset',
    'rehearse --to v2',
    'shell',
    'exec a -- b',
    'redo a',
    'destroy',
  ])
    expect(spell(`./run.sh ${command}`)).toBe(`./run.sh --appliance $1 ${command}`);
  for (const text of [
    'start: ./run.sh serve',
    'a/./run.sh update',
    '../run.sh update',
    './run.sh',
    'run.sh update',
  ])
    expect(spell(text)).toBe(text);
  expect(spell(spell('./run.sh logs r1'))).toBe('./run.sh --appliance $1 logs r1');
});
