import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseConfig } from '../../../orchestrator/config/parse.ts';
import { configOf, least } from '../support/an-appliance.ts';
import { problemsOf, withService } from '../support/problems.ts';

describe('a configuration that says as little as it may', () => {
  test('is filled up with the defaults of the design', () => {
    const config = configOf({ services: { api: { start: 'node api.js' } } });
    expect(config).toMatchObject({
      runtime: 'local',
      stateDirectory: '.holdfast',
      sources: { app: { dir: '.', remote: 'origin', follow: { branch: 'main' } } },
      database: 'none',
      backups: { directory: 'backups', keep: 5 },
    });
    expect(config.services['api']).toMatchObject({
      gate: 'preload',
      stop: { signal: 'SIGTERM', timeout: 30_000, kill: 'group' },
    });
  });
});

describe('every problem is told at once', () => {
  test('with its path and with what was found there', () => {
    expect(
      problemsOf({
        version: 2,
        name: 'Shop!',
        packageManager: 'pnpm',
        services: { api: { port: '80', health: { url: 'ftp://x', timeout: 5 }, stop: { signal: 'SIGFOO' } } },
        builds: { web: { dir: '/abs', products: ['../out'] } },
        data: [{ path: 'ok' }, { path: 1 }],
        backups: { keep: 0 },
      }),
    ).toEqual([
      'version: must be 1, the version of this format; found 2',
      'name: must be lower-case letters, digits and hyphens, at most 40, starting with a letter; found "Shop!"',
      'packageManager: only "npm" is supported yet; found "pnpm"',
      'builds.web.dir: must be a path inside the checkout (relative, without ".."); found "/abs"',
      'builds.web.products[0]: must be a path inside the checkout (relative, without ".."); found "../out"',
      'services.api.start: must be a command: words separated by spaces, or a list of arguments; found nothing',
      'services.api.port: must be a port from 1 to 65535; found "80"',
      'services.api.stop.signal: must be one of SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGKILL; found "SIGFOO"',
      'services.api.health.url: must be an http:// or https:// URL; found "ftp://x"',
      'services.api.health.timeout: must be a duration such as 30s, 500ms or 2m; found 5',
      'data[1].path: must be a text; found 1',
      'backups.keep: must be a whole number from 1 on; found 0',
    ]);
  });

  test('when nothing, a list or a word is there instead of a mapping', () => {
    expect(problemsOf(null)).toEqual(['(the whole file): must be a mapping; found an empty value']);
    expect(problemsOf([])).toEqual(['(the whole file): must be a mapping; found a list']);
    expect(problemsOf({ ...least, services: 'api' })).toEqual(['services: must be a mapping; found "api"']);
    expect(problemsOf(withService(null))).toEqual(['services.api: must be a mapping; found an empty value']);
  });

  test('a long value is shown with its beginning only', () => {
    const [problem = ''] = problemsOf({ ...least, name: 'X'.repeat(500) });
    expect(problem).toMatch(/found "X{50,60}\.\.\."$/);
  });
});

describe('an unknown key is told', () => {
  test.each([
    ['at the top', { ...least, servces: {} }, 'servces: unknown key'],
    ['in a service', withService({ start: 'x', prot: 80 }), 'services.api.prot: unknown key'],
    ['in "stop"', withService({ start: 'x', stop: { after: '1s' } }), 'services.api.stop.after: unknown key'],
    [
      'in "health"',
      withService({ start: 'x', health: { url: 'http://x', retries: 3 } }),
      'services.api.health.retries: unknown key',
    ],
    [
      'in "release"',
      withService({ start: 'x', release: { url: 'http://x', pointer: '/c', sha: 1 } }),
      'services.api.release.sha: unknown key',
    ],
    ['in a build', { ...least, builds: { web: { output: 'dist' } } }, 'builds.web.output: unknown key'],
    ['in a source', { ...least, sources: { app: { url: 'x' } } }, 'sources.app.url: unknown key'],
    [
      'in "follow"',
      { ...least, sources: { app: { follow: { branch: 'a', tag: 'b' } } } },
      'sources.app.follow.tag: unknown key',
    ],
    ['in "env"', { ...least, env: { file: '.env' } }, 'env.file: unknown key'],
    ['in "requires"', { ...least, requires: { node: 24 } }, 'requires.node: unknown key'],
    ['in "database"', { ...least, database: { embedded: true, url: 'X' } }, 'database.url: unknown key'],
    [
      'in "prisma"',
      { ...least, database: { embedded: true }, prisma: { schema: 'x' } },
      'prisma.schema: unknown key',
    ],
    [
      'in "dataMigrations"',
      { ...least, database: { embedded: true }, prisma: { dataMigrations: { dir: 'd', batch: 1 } } },
      'prisma.dataMigrations.batch: unknown key',
    ],
    ['in "data"', { ...least, data: [{ path: 'd', include: [] }] }, 'data[0].include: unknown key'],
    ['in "backups"', { ...least, backups: { keeep: 3 } }, 'backups.keeep: unknown key'],
    ['in "notify"', { ...least, notify: [{ url: 'http://x', when: [] }] }, 'notify[0].when: unknown key'],
  ])('%s', (_where, raw, problem) => {
    expect(problemsOf(raw)).toEqual([problem]);
  });
});

describe('what is not there yet is refused by name', () => {
  test.each([
    ['another runtime', { runtime: 'docker' }, 'runtime: must be "local" or "lxd"; found "docker"'],
    [
      'stageDirectory',
      { stageDirectory: '../s' },
      'stageDirectory: stageDirectory is not supported yet; found "../s"',
    ],
    ['stage', { stage: { copy: [] } }, 'stage: stage is not supported yet; found a mapping'],
    [
      'a version of Node',
      { node: '22' },
      'node: must be "auto" or the path of a node program; a version is not supported yet; found "22"',
    ],
    [
      'two sources',
      { sources: { app: {}, plugins: {} } },
      'sources: more than one source is not supported yet; found a mapping',
    ],
    [
      'a source elsewhere',
      { sources: { app: { dir: 'src' } } },
      'sources.app.dir: a source in another folder than "." is not supported yet; found "src"',
    ],
    [
      'a systemd unit',
      { services: { api: { start: 'x', unit: 'api.service' } } },
      'services.api.unit: a systemd unit as a service is not supported yet; found "api.service"',
    ],
    [
      'a user',
      { services: { api: { start: 'x', user: 'www' } } },
      'services.api.user: a user of its own for a service is not supported yet; found "www"',
    ],
    [
      'a restore in place',
      { database: { url: 'DATABASE_URL', restore: 'in-place' } },
      'database.restore: only "auto" and "swap" are supported yet; found "in-place"',
    ],
  ])('%s', (_what, more, problem) => {
    expect(problemsOf({ ...least, ...more })).toEqual([problem]);
  });
});

test('whatever JSON holds, it is a configuration or a list of problems, never a crash', () => {
  const known = fc.constantFrom(
    'version',
    'name',
    'services',
    'builds',
    'database',
    'prisma',
    'env',
    'data',
    'notify',
    'start',
    'port',
    'after',
    'health',
    'url',
    'set',
    '__proto__',
    'constructor',
  );
  const { tree } = fc.letrec<{ tree: unknown }>((tie) => ({
    tree: fc.oneof(
      { maxDepth: 6 },
      fc.jsonValue({ maxDepth: 1 }),
      fc.array(tie('tree'), { maxLength: 3 }),
      fc.dictionary(fc.oneof(known, fc.string()), tie('tree'), { maxKeys: 8 }),
    ),
  }));
  fc.assert(
    fc.property(fc.oneof(fc.jsonValue(), tree), (value) => {
      const raw: unknown = JSON.parse(JSON.stringify(value));
      const parsed = parseConfig(raw);
      const problems = parsed.ok ? [] : parsed.problems;
      expect(problems.length > 0).toBe(!parsed.ok);
      expect(problems.filter(({ path, message }) => path === '' || message === '')).toEqual([]);
    }),
    { numRuns: 1000 },
  );
});
