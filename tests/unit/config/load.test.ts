import { mkdirSync, readFileSync, realpathSync, symlinkSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, test } from 'vitest';
import { ConfigurationError, loadAppliance, parseConfigText } from '../../../orchestrator/config/load.ts';
import { UsageError } from '../../../orchestrator/lib/errors.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const home = resolve(import.meta.dirname, '../../..');

function errorOf(work: () => unknown): UsageError {
  try {
    work();
  } catch (error) {
    if (error instanceof UsageError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

describe('text that is no YAML', () => {
  test.each([
    ['an open list', 'version: 1\nname: [shop\n', 3],
    ['the same key twice', 'version: 1\nname: a\nname: b\n', 3],
    ['an open quote', 'version: 1\nname: "shop\n', 3],
    ['a tab', 'version: 1\nservices:\n\tapi: {}\n', 3],
    ['two documents', 'version: 1\n---\nversion: 1\n', 2],
  ])('%s is told with its line', (_what, text, line) => {
    const error = errorOf(() => parseConfigText(text, 'appliance.yaml'));
    expect(error.exitCode).toBe(2);
    expect(error.message).toMatch(/^cannot use appliance\.yaml: .*Nothing was changed\./);
    expect(error.message).toContain(`line ${line}: `);
  });

  test('a reference to nothing is told, too', () => {
    expect(errorOf(() => parseConfigText('version: *one', 'appliance.yaml')).message).toContain(
      'Unresolved alias',
    );
  });
});

test('programs get every problem by itself', () => {
  const error = errorOf(() => parseConfigText('version: 1\nname: shop\nservces: {}\n', 'f'));
  expect(error).toBeInstanceOf(ConfigurationError);
  expect(error).toMatchObject({
    problems: [{ path: 'services' }, { path: 'servces', message: 'unknown key' }],
  });
});

test('an empty file lacks what must be there', () => {
  expect(errorOf(() => parseConfigText('', 'f')).message.split('\n')).toEqual([
    'cannot use f: 3 problems. Nothing was changed.',
    '  version: must be 1, the version of this format; found nothing',
    '  name: must be lower-case letters, digits and hyphens, at most 40, starting with a letter; found nothing',
    '  services: must be a mapping; found nothing',
  ]);
});

describe('an appliance', () => {
  const minimal = 'version: 1\nname: shop\nservices: {}\n';

  test('is found by its folder or by its file, and its places are absolute', () => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, 'appliance.yaml'), `${minimal}backups: { directory: ../elsewhere }\n`);
    const byFolder = loadAppliance(folder);
    expect(loadAppliance(join(folder, 'appliance.yaml'))).toEqual(byFolder);
    expect(byFolder).toMatchObject({
      file: join(folder, 'appliance.yaml'),
      directory: folder,
      stateDirectory: join(folder, '.holdfast'),
      backupsDirectory: resolve(folder, '../elsewhere'),
    });
  });

  test('through a link is the same as where it lies', () => {
    const folder = realpathSync(temporaryFolder());
    const [box, link] = [join(folder, 'box'), join(folder, 'link')];
    mkdirSync(box);
    symlinkSync(box, link);
    writeFileSync(join(box, 'appliance.yaml'), minimal);
    for (const typed of [link, join(link, 'appliance.yaml')])
      expect(loadAppliance(typed)).toMatchObject({
        ...{ directory: box, file: join(box, 'appliance.yaml'), stateDirectory: join(box, '.holdfast') },
      });
  });

  test('without a configuration is told how to come by one', () => {
    const folder = temporaryFolder();
    const error = errorOf(() => loadAppliance(folder));
    expect(error.message).toBe(
      `cannot read the configuration ${join(folder, 'appliance.yaml')}: there is no such file`,
    );
    expect(error.next).toContain('--appliance PATH');
  });

  test('that lacks files is told all of them at once', () => {
    const folder = temporaryFolder();
    mkdirSync(join(folder, 'web'));
    writeFileSync(
      join(folder, 'appliance.yaml'),
      `${minimal.replace('{}', '{ api: { dir: srv, start: x } }')}builds: { web: { dir: web }, own: { dir: own, install: none } }
env: { files: [.env, web/.env] }
database: { embedded: true }
prisma: { dir: db, dataMigrations: { dir: db/data } }
`,
    );
    const lines = errorOf(() => loadAppliance(folder)).message.split('\n');
    expect(lines[0]).toContain('7 problems');
    expect(lines.slice(1).map((line) => line.trim().split(' in ')[0])).toEqual([
      'builds.web.install: there is no web/package-lock.json',
      'builds.own.dir: there is no own',
      'services.api.dir: there is no srv',
      'env.files[0]: there is no .env',
      'env.files[1]: there is no web/.env',
      'prisma.dir: there is no db',
      'prisma.dataMigrations.dir: there is no db/data/run.sh',
    ]);
  });
});

test('the configuration of the reference appliance is one', () => {
  const config = parseConfigText(readFileSync(join(home, 'appliance.yaml'), 'utf8'), 'appliance.yaml');
  expect(config.name).toBe('inventory');
  expect(Object.keys(config.services)).toEqual(['backend', 'frontend']);
  expect(config.services['backend']?.health).toMatchObject({ timeout: 120_000, stableFor: 2000 });
});
