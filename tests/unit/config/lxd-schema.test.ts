import { describe, expect, test } from 'vitest';
import { configOf, least } from '../support/an-appliance.ts';
import { problemsOf, withService } from '../support/problems.ts';

const lxd = (value: unknown) => problemsOf({ ...least, lxd: value });

describe('lxd', () => {
  test('has its defaults, whether it is asked for or not', () => {
    const defaults = {
      ...{ client: 'lxc', project: 'default', pool: 'holdfast', poolSize: '20GiB', listen: '0.0.0.0' },
      ...{ image: 'images:debian/12', mirror: 'http://deb.debian.org/debian', containers: {} },
    };
    expect(configOf().lxd).toEqual(defaults);
    expect(configOf({ runtime: 'lxd', lxd: {} })).toMatchObject({ runtime: 'lxd', lxd: defaults });
  });

  test.each([
    { client: 'incus' },
    { client: '/snap/bin/lxc' },
    { project: 'production-2' },
    { pool: 'Fast', poolSize: '500MiB' },
    { poolSize: '1TiB' },
    { network: 'br0' },
    { network: 'a-bridge-of-15c' },
    { listen: '127.0.0.1' },
    { image: 'local:own' },
    { containers: { postgres: 'db', backend: 'api', frontend: 'web' } },
  ])('takes %j as it is', (value) => {
    expect(configOf({ lxd: value }).lxd).toMatchObject(value);
  });

  test.each([
    [{ client: '' }, 'lxd.client: '],
    [{ project: 'a project' }, 'lxd.project: must be letters, digits and hyphens'],
    [{ project: '9lives' }, 'lxd.project: must be letters'],
    [{ pool: "x', driver: 'dir" }, 'lxd.pool: must be letters'],
    [{ pool: 'p'.repeat(61) }, 'lxd.pool: must be letters'],
    [{ poolSize: '20' }, 'lxd.poolSize: must be a size such as 20GiB'],
    [{ poolSize: '20GB' }, 'lxd.poolSize: must be a size such as 20GiB'],
    [{ poolSize: 20 }, 'lxd.poolSize: '],
    [{ network: 'a-bridge-of-16-c' }, 'lxd.network: must be the name of a bridge: at most 15 characters'],
    [{ network: '../br0' }, 'lxd.network: must be the name of a bridge'],
    [{ listen: '' }, 'lxd.listen: '],
    [{ containers: { backend: 'Back End' } }, 'lxd.containers.backend: must be lower-case letters'],
    [{ containers: { redis: 'x' } }, 'redis'],
    [{ profile: 'x' }, 'profile'],
  ])('%j is refused', (value, problem) => {
    const problems = lxd(value);
    expect(problems).toHaveLength(1);
    expect(problems[0]).toContain(problem);
  });

  test('two places in one container are refused', () => {
    expect(lxd({ containers: { backend: 'one', frontend: 'one' } })).toEqual([
      expect.stringContaining('lxd.containers: must name each container once'),
    ]);
    // By its own name another one's default may be taken, too.
    expect(lxd({ containers: { backend: 'shop-frontend' } })).toEqual([
      expect.stringContaining('shop-frontend'),
    ]);
    expect(lxd({ containers: { backend: 'shop-frontend', frontend: 'shop-backend' } })).toEqual([]);
  });
});

describe('runtime', () => {
  test.each(['local', 'lxd'])('%s is one', (runtime) => {
    expect(configOf({ runtime }).runtime).toBe(runtime);
  });

  test('another word is refused', () => {
    expect(problemsOf({ ...least, runtime: 'docker' })).toEqual([
      'runtime: must be "local" or "lxd"; found "docker"',
    ]);
  });
});

describe('container', () => {
  test('is the backend, where nothing is said, of a service and of a build', () => {
    const config = configOf({
      services: { api: { start: 'node api.js' } },
      builds: { api: { install: 'none' } },
    });
    expect([config.services['api']?.container, config.builds['api']?.container]).toEqual([
      'backend',
      'backend',
    ]);
  });

  test('is either of those with code, and never that of the database', () => {
    const service = { start: 'node web.js', container: 'frontend' };
    expect(configOf({ services: { web: service } }).services['web']?.container).toBe('frontend');
    for (const container of ['postgres', 'redis'])
      expect(problemsOf(withService({ start: 'node api.js', container }))).toEqual([
        expect.stringContaining('services.api.container: must be one of backend, frontend'),
      ]);
  });
});
