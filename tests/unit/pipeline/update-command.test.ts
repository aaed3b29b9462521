import { expect, test } from 'vitest';
import { toOption, updateCommand } from '../../../orchestrator/pipeline/update-command.ts';

test('the update that was asked for can be typed again, with what was missing', () => {
  expect(updateCommand({})).toBe('./run.sh update');
  expect(updateCommand({}, { allowDestructive: true })).toBe('./run.sh update --allow-destructive');
  const asked = { to: 'v3.0.0', rehearse: true, forwardOnly: false };
  expect(updateCommand({ asked }, { allowDestructive: true })).toBe(
    './run.sh update --to v3.0.0 --rehearse --allow-destructive',
  );
  expect(updateCommand({ asked: { migrate: true } }, { forwardOnly: true })).toBe(
    './run.sh update --migrate --forward-only',
  );
  expect(updateCommand({ asked: { to: 'v1$(id)' } })).toBe("./run.sh update --to 'v1$(id)'");
  expect(toOption({ asked: { rehearse: true } })).toBe('');
});
