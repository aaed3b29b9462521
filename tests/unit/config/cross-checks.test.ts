import { describe, expect, test } from 'vitest';
import { configOf, least } from '../support/an-appliance.ts';
import { problemsOf, withService } from '../support/problems.ts';

describe('what no single key can tell', () => {
  const dataMigrations = (more: Record<string, unknown>) => ({
    database: { embedded: true },
    prisma: { dataMigrations: { dir: 'd', ...more } },
  });

  test.each([{ onFailure: 'warn' }, { when: 'in-window', onFailure: 'warn' }])(
    'data migrations inside the window cannot warn: %j',
    (more) => {
      expect(problemsOf({ ...least, ...dataMigrations(more) })).toEqual([
        expect.stringMatching(/^prisma\.dataMigrations\.onFailure: "warn" needs when: after-start; /),
      ]);
    },
  );

  test.each([
    [{}, 'in-window', 'fail'],
    [{ when: 'before-start', onFailure: 'restore' }, 'in-window', 'fail'],
    [{ when: 'after-start' }, 'after-start', 'fail'],
    [{ when: 'after-start', onFailure: 'warn' }, 'after-start', 'warn'],
  ])('when data is migrated, former names too: %j', (more, when, onFailure) => {
    expect(configOf(dataMigrations(more)).prisma?.dataMigrations).toMatchObject({ when, onFailure });
  });

  test('a port belongs to one service', () => {
    const services = {
      a: { start: 'x', port: 80 },
      b: { start: 'x', port: 80 },
      c: { start: 'x', port: 80 },
    };
    expect(problemsOf({ ...least, services })).toEqual([
      'services.b.port: port 80 belongs to service "a" already',
      'services.c.port: port 80 belongs to service "a" already',
    ]);
  });

  test.each(['ghost', 'constructor', 'to-string'])('"after" names a service that exists, not %s', (name) => {
    expect(problemsOf(withService({ start: 'x', after: [name] }))).toEqual([
      `services.api.after: there is no service "${name}"`,
    ]);
  });

  test.each([
    ['itself', { a: ['a'] }],
    ['each other', { a: ['b'], b: ['a'] }],
    ['three in a ring behind one', { a: ['b'], b: ['c'], c: ['d'], d: ['b'] }],
  ])('"after" does not go round in a circle: %s', (_what, after: Record<string, string[]>) => {
    const services = Object.fromEntries(
      Object.entries(after).map(([name, list]) => [name, { start: 'x', after: list }]),
    );
    expect(problemsOf({ ...least, services })).toEqual(['services: "after" goes round in a circle']);
  });

  test('two ways to the same service are no circle', () => {
    const services = {
      a: { start: 'x', after: ['b', 'c'] },
      b: { start: 'x', after: ['d'] },
      c: { start: 'x', after: ['d'] },
      d: { start: 'x' },
    };
    expect(problemsOf({ ...least, services })).toEqual([]);
  });

  test('{port} needs a port', () => {
    expect(
      problemsOf(
        withService({
          start: 'x',
          health: { url: 'http://127.0.0.1:{port}/' },
          release: { url: 'http://127.0.0.1:{port}/v', pointer: '/c' },
        }),
      ),
    ).toEqual([
      'services.api.health.url: uses {port}, but the service has no port',
      'services.api.release.url: uses {port}, but the service has no port',
    ]);
  });

  describe('{address.NAME}', () => {
    const services = (web: Record<string, unknown>) => ({
      ...least,
      services: {
        api: { start: 'x', port: 4000 },
        worker: { start: 'x' },
        web: { start: 'x', port: 3000, ...web },
      },
    });

    test.each([
      { start: 'serve --api http://{address.api}' },
      { start: ['serve', '{address.api}'] },
      { env: { API: 'http://{address.api}/x', SELF: '{address.web}' } },
      { env: { OTHER: '{addresses.api} {address}' } },
    ])('of a service with a port may stand in %j', (web) => {
      expect(problemsOf(services(web))).toEqual([]);
    });

    test.each([
      [{ start: 'serve {address.backend}' }, 'start', 'backend'],
      [{ start: ['serve', 'x={address.worker}'] }, 'start', 'worker'],
      [{ env: { API: 'http://{address.toString}' } }, 'env.API', 'toString'],
    ])('of none is told before anything is started: %j', (web, key, name) => {
      expect(problemsOf(services(web))).toEqual([
        `services.web.${key}: {address.${name}}: there is no service "${name}" with a port`,
      ]);
    });

    test('has no place in the URL of a service itself, which is asked from where it runs', () => {
      const release = { url: 'http://{address.web}/v', pointer: '/c' };
      expect(problemsOf(services({ health: { url: 'http://{address.api}/' }, release }))).toEqual([
        'services.web.health.url: can hold {port} and {env.NAME} only',
        'services.web.release.url: can hold {port} and {env.NAME} only',
      ]);
    });
  });

  test('prisma needs a database', () => {
    expect(problemsOf({ ...least, prisma: {} })).toEqual([
      'database: prisma needs a database; say { embedded: true }, { url: [NAME] } or { file: data/app.db }',
    ]);
    expect(problemsOf({ ...least, prisma: {}, database: { embedded: true } })).toEqual([]);
  });

  test.each([
    ['backups/app.db', 'must not lie in backups, which is moved and replaced'],
    ['.holdfast/app.db', 'must not lie in .holdfast, which is moved and replaced'],
    ['./.git/app.db', 'must not lie in .git, which is moved and replaced'],
    ['api/dist/app.db', 'must not lie in api/dist, which is moved and replaced'],
    [
      'data/app?.db',
      'must be the path of a file, without ? # % and control characters; found "data/app?.db"',
    ],
    ['data/', 'must be the path of a file, without ? # % and control characters; found "data/"'],
  ])('the file of a database: %s', (file, problem) => {
    const builds = { api: { dir: 'api', products: ['dist'] } };
    expect(problemsOf({ ...least, builds, database: { file } })).toEqual([`database.file: ${problem}`]);
    expect(problemsOf({ ...least, builds, database: { file: 'data/app.db' } })).toEqual([]);
  });
});
