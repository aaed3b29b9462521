import { expect, test } from 'vitest';
import { knownUnits, startUnit, unitState } from '../../../../orchestrator/runtime/lxd/services.ts';
import { LxdClient } from '../../../../orchestrator/runtime/lxd/client.ts';
import { FakeDaemon } from '../../support/a-daemon.ts';
import { refusalOf } from '../../support/refusal.ts';

test('a service of a container carries its environment and the mark of this machine, in no list of arguments', async () => {
  const daemon = new FakeDaemon();
  const launch = {
    ...{ name: 'api', argv: ['node', 'api.js'], cwd: '/srv/shop', logFile: '/srv/shop/api.log' },
    ...{ stateFolder: '/srv/shop/.holdfast/services', env: { TOKEN: 'correct-horse' } },
  };
  const settings = { user: '1000', unfinished: '/srv/shop/.holdfast/unfinished', description: 'api' };
  await startUnit(daemon.client, 'shop-backend', launch, settings);
  const [command] = daemon.commands;
  const [size = '', ...rest] = String(command?.input).split('\n');
  // The folder and the name: a service of that name of another appliance is a stranger.
  const environment = 'TOKEN="correct-horse"\nHOLDFAST_SERVICE="/srv/shop/.holdfast/services/api"\n';
  expect(rest.join('\n').slice(0, Number(size))).toBe(environment);
  expect(JSON.stringify(command?.args)).not.toContain('correct-horse');
});

test.each([
  ['its state', async (client: LxdClient) => await unitState(client, 'shop-backend', 'api')],
  ['its services', async (client: LxdClient) => await knownUnits(client, 'shop-backend')],
])('a frozen container that is asked for %s is told, with what thaws it', async (_what, ask) => {
  const { machine } = new FakeDaemon();
  const said = { exitCode: 1, stdout: '', stderr: 'Error: Instance is frozen' };
  const client = new LxdClient(
    { ...machine, run: async () => await Promise.resolve(said) },
    'lxc',
    'default',
  );
  const refused = await refusalOf(async () => await ask(client));
  expect(refused).toMatchObject({
    ...{ message: 'cannot go on: the container shop-backend is frozen', next: './run.sh start thaws it' },
  });
});
