import { mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { findHooks } from '../../../orchestrator/hooks/find-hooks.ts';
import { verifyHooks } from '../../../orchestrator/hooks/verify-hooks.ts';
import { repositoryWith } from '../support/a-repository.ts';
import { applianceIn } from '../support/an-appliance.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

function prepare() {
  const appliance = applianceIn(temporaryFolder());
  const hooks = join(appliance.directory, 'hooks');
  mkdirSync(hooks);
  return { appliance, hooks };
}

const message = 'cannot go on: hooks/after-verify.d is no folder, so it would never run';

test('a file named like a hook point is refused by its name, and is no hook', async () => {
  const { appliance, hooks } = prepare();
  writeFileSync(join(hooks, 'after-verify.d'), '#!/bin/sh\n', { mode: 0o755 });

  await expect(verifyHooks(appliance)).rejects.toMatchObject({
    message,
    next: 'make it a folder with the executable in it, or take it away',
  });
  expect(findHooks(appliance.directory, appliance.config, 'after', 'verify')).toEqual([]);
});

test('so is a link that leads nowhere', async () => {
  const { appliance, hooks } = prepare();
  symlinkSync('nowhere', join(hooks, 'after-verify.d'));

  await expect(verifyHooks(appliance)).rejects.toThrow(message);
});

test('a file of another name may lie there', async () => {
  const { appliance, hooks } = prepare();
  writeFileSync(join(hooks, 'README.md'), 'of hooks');

  expect(await verifyHooks(appliance)).toEqual([]);
});

test('a folder that is a link is looked at like any other', async () => {
  const { appliance, hooks } = prepare();
  mkdirSync(join(appliance.directory, 'elsewhere'));
  writeFileSync(join(appliance.directory, 'elsewhere/10'), '#!/bin/sh\n', { mode: 0o644 });
  symlinkSync('../elsewhere', join(hooks, 'after-verify.d'));

  expect(await verifyHooks(appliance)).toEqual([
    'not executable, so not run as a hook: hooks/after-verify.d/10',
  ]);

  symlinkSync('../elsewhere', join(hooks, 'after-vrify.d'));
  await expect(verifyHooks(appliance)).rejects.toThrow(/nothing calls hooks\/after-vrify\.d,/);
});

test('a release that brings a file for a folder is refused; one with a link is not', async () => {
  const folder = temporaryFolder();
  const point = (directory: string) => join(directory, 'hooks/after-verify.d');
  const { commits } = repositoryWith(
    folder,
    (directory) => mkdirSync(join(directory, 'hooks')),
    (directory) => {
      writeFileSync(point(directory), '#!/bin/sh\n', { mode: 0o755 });
    },
    (directory) => {
      rmSync(point(directory));
      symlinkSync('../elsewhere', point(directory));
    },
  );
  const [commit = '', withFile = '', withLink = ''] = commits;
  const appliance = applianceIn(folder);
  const verify = async (target: string, kind: 'update' | 'rollback' = 'update') =>
    await verifyHooks(appliance, {
      kind,
      origin: { commit },
      target: { commit: target, label: 'v2', config: appliance.config },
    });

  await expect(verify(withFile)).rejects.toThrow(
    'cannot go on: hooks/after-verify.d of v2 is no folder, so it would never run',
  );
  expect(await verify(withLink)).toEqual([]);
  // Going back to what was installed before is not kept from anybody by it.
  expect(await verify(withFile, 'rollback')).toEqual([
    'hooks/after-verify.d of v2 is no folder, so it would never run',
  ]);
});

test('what the installed version itself has wrong is told: the one to whom it is said could not mend it', async () => {
  const folder = temporaryFolder();
  const put = (directory: string, path: string) => {
    mkdirSync(join(directory, path, '..'), { recursive: true });
    writeFileSync(join(directory, path), '#!/bin/sh\n', { mode: 0o755 });
  };
  repositoryWith(folder, (directory) => {
    put(directory, 'hooks/after-vrify.d/10');
    put(directory, 'hooks/before-verify.d');
    put(directory, 'hooks/before-migration.d/10');
  });
  const appliance = applianceIn(folder);

  expect(await verifyHooks(appliance)).toEqual([
    expect.stringMatching(
      /^nothing calls hooks\/after-vrify\.d, .*; it came with the version that is installed$/,
    ),
    'hooks/before-verify.d is no folder, so it would never run; it came with the version that is installed',
    'before-migration.d would never run: Prisma does not apply the schema migrations here; it came with the version that is installed',
  ]);
  put(appliance.directory, 'hooks/after-migration.d/10');
  await expect(verifyHooks(appliance)).rejects.toMatchObject({
    message:
      'cannot go on: after-migration.d would never run: Prisma does not apply the schema migrations here',
    next: 'use after-migrate-schema.d, which runs around all of them',
  });
});
