import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { EnvironmentError } from '../src/environment.ts';
import { parseMigrationSettings } from '../src/migration-settings.ts';

const LOOK = { RUN_MIGRATIONS_ON_STARTUP: 'true' };
const RUN = { AUTO_MIGRATE: '1' };
const PRODUCTION = { NODE_ENV: 'production' };
const KEY = 'k'.repeat(24);

await test('everything is off unless it is set', () => {
  const off = { developerKey: undefined, atStart: 'nothing', reason: undefined, gateFile: undefined };
  assert.deepEqual(parseMigrationSettings({}), off);
  assert.deepEqual(parseMigrationSettings(PRODUCTION), off);
  const empty = { DEVELOPER_KEY: '', AUTO_MIGRATE: '', RUN_MIGRATIONS_ON_STARTUP: 'false' };
  assert.deepEqual(parseMigrationSettings({ ...empty, ...PRODUCTION }), off);
});

await test('a key of 24 characters is taken as it is', () => {
  assert.equal(parseMigrationSettings({ DEVELOPER_KEY: KEY }).developerKey, KEY);
});

const BAD_KEYS = [
  [KEY.slice(1), /^cannot start the backend: DEVELOPER_KEY has fewer than 24 characters\. Set one made by/],
  [
    `${KEY} with spaces`,
    /^cannot start the backend: DEVELOPER_KEY holds characters that no header can carry/,
  ],
  [`${KEY}\n`, /no header can carry/],
  [`${KEY}ä`, /no header can carry/],
] as const;

for (const [key, reason] of BAD_KEYS)
  await test(`refused, without repeating it: the key ${JSON.stringify(key)}`, () => {
    assert.throws(
      () => parseMigrationSettings({ DEVELOPER_KEY: key }),
      (error: unknown) => {
        assert(error instanceof EnvironmentError);
        assert.match(error.message, reason);
        assert(!error.message.includes(key.trim()));
        return true;
      },
    );
  });

await test('outside of production each switch works by itself', () => {
  assert.equal(parseMigrationSettings(LOOK).atStart, 'look');
  assert.equal(parseMigrationSettings(RUN).atStart, 'run');
  assert.equal(parseMigrationSettings({ ...LOOK, ...RUN }).atStart, 'run');
  assert.equal(parseMigrationSettings({ ...LOOK, AUTO_MIGRATE: '0' }).atStart, 'look');
});

for (const name of ['RUN_MIGRATIONS_ON_STARTUP', 'AUTO_MIGRATE'])
  for (const value of ['yes', 'TRUE', '2', ' '])
    await test(`refused: ${name}=${value}`, () => {
      const message = `cannot start the backend: ${name} is "${value}". Set true or false`;
      assert.throws(() => parseMigrationSettings({ [name]: value }), { name: 'EnvironmentError', message });
    });

const NOT_IN_PRODUCTION = [
  [LOOK, 'RUN_MIGRATIONS_ON_STARTUP'],
  [RUN, 'AUTO_MIGRATE'],
  [{ ...LOOK, ...RUN }, 'AUTO_MIGRATE'],
  [{ ...LOOK, ...RUN, MIGRATIONS_REASON: ' ' }, 'AUTO_MIGRATE'],
  [{ ...RUN, MIGRATIONS_REASON: 'one of two' }, 'AUTO_MIGRATE'],
  [{ ...LOOK, MIGRATIONS_REASON: 'one of two' }, 'RUN_MIGRATIONS_ON_STARTUP'],
  [{ ...RUN, HOLDFAST_RUN: '', HOLDFAST_GATE_FILE: '/nowhere/gate' }, 'AUTO_MIGRATE'],
] as const;

for (const [variables, named] of NOT_IN_PRODUCTION)
  await test(`refused in production: ${JSON.stringify(variables)}`, () => {
    assert.throws(() => parseMigrationSettings({ ...PRODUCTION, ...variables }), {
      name: 'EnvironmentError',
      message: `cannot start the backend: ${named} is not for production, where the update runs the data migrations. Take it out, or set RUN_MIGRATIONS_ON_STARTUP=true and AUTO_MIGRATE=true together with MIGRATIONS_REASON="why"`,
    });
  });

await test('in production both switches with a reason are enough', () => {
  const { atStart, reason } = parseMigrationSettings({
    ...PRODUCTION,
    ...LOOK,
    ...RUN,
    MIGRATIONS_REASON: 'no updater here',
  });
  assert.deepEqual({ atStart, reason }, { atStart: 'run', reason: 'no updater here' });
});

await test('in production an update that is under way is enough: as its child, or behind its gate', async () => {
  assert.equal(
    parseMigrationSettings({ ...PRODUCTION, ...RUN, HOLDFAST_RUN: '/state/runs/1' }).atStart,
    'run',
  );
  const folder = await mkdtemp(path.join(tmpdir(), 'a gate '));
  try {
    const gateFile = path.join(folder, 'gate');
    await writeFile(gateFile, 'closed\n');
    const settings = parseMigrationSettings({ ...PRODUCTION, ...LOOK, HOLDFAST_GATE_FILE: gateFile });
    assert.deepEqual([settings.atStart, settings.gateFile], ['look', gateFile]);
  } finally {
    await rm(folder, { recursive: true });
  }
});

await test('production is production, however it is spelled', () => {
  for (const NODE_ENV of ['Production', 'PRODUCTION', ' production'])
    assert.throws(() => parseMigrationSettings({ ...RUN, NODE_ENV }), EnvironmentError);
});
