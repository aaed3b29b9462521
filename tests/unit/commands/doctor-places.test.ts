import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { execaSync } from 'execa';
import { expect, test } from 'vitest';
import { findMissingData, findUnignored } from '../../../orchestrator/commands/doctor-places.ts';
import { applianceIn } from '../support/an-appliance.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

function checkout(more: Record<string, unknown> = {}) {
  const appliance = applianceIn(temporaryFolder(), more);
  execaSync('git', ['init', '--quiet', appliance.directory]);
  return appliance;
}

test('state and snapshots that git would show are warned of, with the lines for .gitignore', async () => {
  const appliance = checkout();
  expect(await findUnignored(appliance)).toMatchObject({
    warning: expect.stringContaining('/.holdfast/ and /backups/') as string,
    next: expect.stringContaining('.gitignore') as string,
  });
  writeFileSync(join(appliance.directory, '.gitignore'), '/.holdfast/\n');
  expect((await findUnignored(appliance))?.warning).toMatch(/^git does not ignore \/backups\/,/);
  writeFileSync(join(appliance.directory, '.gitignore'), '.holdfast\n/backups/\n');
  expect(await findUnignored(appliance)).toBeUndefined();
});

test('what lies outside of the checkout is no matter of git', async () => {
  expect(
    await findUnignored(checkout({ stateDirectory: '../state', backups: { directory: '/b' } })),
  ).toBeUndefined();
});

test('a data path that is not there is told', () => {
  const appliance = checkout({ data: [{ path: 'uploads' }, { path: '../media' }] });
  expect(findMissingData(appliance)?.warning).toContain('"uploads" and "../media" do not exist');
  mkdirSync(join(appliance.directory, 'uploads'));
  mkdirSync(join(appliance.directory, '../media'));
  expect(findMissingData(appliance)).toBeUndefined();
});
