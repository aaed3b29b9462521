import { expect, test } from 'vitest';
import { nextCommands, type Situation } from '../../../orchestrator/commands/next-commands.ts';

const well: Situation = {
  installed: true,
  settingUp: false,
  healthy: true,
  fits: true,
  open: undefined,
  last: undefined,
};

test.each<[string, Partial<Situation>, string]>([
  ['nothing is wrong', {}, './run.sh update'],
  ['the last update went well', { last: { run: 'r1', outcome: 'updated' } }, './run.sh update'],
  ['the last update was restored', { last: { run: 'r1', outcome: 'restored' } }, './run.sh logs r1'],
  [
    'it was restored, but a service is down now',
    { healthy: false, last: { run: 'r1', outcome: 'restored' } },
    './run.sh start',
  ],
  [
    'the schema was taken back from under the code',
    { healthy: false, fits: false },
    './run.sh migrate deploy',
  ],
  ['it was never set up', { installed: false, healthy: false }, './run.sh setup'],
  ['it is being set up', { installed: false, settingUp: true, healthy: false }, './run.sh status'],
  ['a run is under way', { open: { active: true }, healthy: false }, './run.sh status --follow'],
  ['a run was interrupted', { open: { active: false }, healthy: false }, './run.sh recover'],
])('when %s, the first advice fits', (_what, more, first) => {
  expect(nextCommands({ ...well, ...more })[0]).toBe(first);
});
