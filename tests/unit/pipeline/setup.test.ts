import { expect, test } from 'vitest';
import type { Event } from '../../../orchestrator/pipeline/events.ts';
import { readSetup } from '../../../orchestrator/pipeline/setup-progress.ts';
import { setUp } from '../../../orchestrator/pipeline/setup.ts';
import { repositoryWith } from '../support/a-repository.ts';
import { applianceIn } from '../support/an-appliance.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

/** Sets up a checkout that has neither a database nor services, with this as the command of its one build. */
async function setUpWith(command: string) {
  const folder = temporaryFolder();
  repositoryWith(folder, () => {});
  const appliance = applianceIn(folder, {
    builds: { app: { install: 'none', build: [command], products: [] } },
  });
  const events: Event[] = [];
  const error = await setUp(appliance, {
    driver: {
      drive: async (tasks) => {
        for (const task of tasks) await task.run(() => {});
      },
    },
    listener: (event) => events.push(event),
    signal: new AbortController().signal,
  }).catch((thrown: unknown) => thrown);
  const steps = events.flatMap((event) =>
    event.type === 'step' && event.state !== 'started'
      ? [`${event.title}: ${event.message ?? event.state}`]
      : [],
  );
  return { appliance, steps, error };
}

test('a setup tells its steps as an update does, and calls nothing by what the appliance has not', async () => {
  const { appliance, steps, error } = await setUpWith('true');
  expect(error).toBeUndefined();
  expect(steps).toEqual([
    'Check the appliance: finished',
    'Database: none',
    'Install and build: finished',
    'Schema migrations: none configured',
    'Data migrations: none configured',
    'Build after the migrations: none configured',
    'Start the services: finished',
  ]);
  expect(appliance.state.isInstalled()).toBe(true);
  expect(readSetup(appliance.state)).toBeUndefined();
});

test('a setup that failed leaves behind where and why, for status', async () => {
  const { appliance, steps, error } = await setUpWith('false');
  expect(error).toMatchObject({ message: expect.stringContaining('false failed (exit 1)') as string });
  expect(steps.at(-1)).toMatch(/^Install and build: false failed \(exit 1\)/);
  expect(appliance.state.isInstalled()).toBe(false);
  expect(readSetup(appliance.state)).toMatchObject({
    ...{ step: 'build-backend', title: 'Install and build' },
    failure: expect.stringContaining('false failed (exit 1)') as string,
  });
});
