import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { Appliance } from '../../../orchestrator/appliance/appliance.ts';
import { StateDirectory } from '../../../orchestrator/appliance/state.ts';
import { chooseRuntime, keepRuntime } from '../../../orchestrator/commands/choose-runtime.ts';
import { loadAppliance } from '../../../orchestrator/config/load.ts';
import { noteSetup } from '../../../orchestrator/pipeline/setup-progress.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const minimal = 'version: 1\nname: shop\nservices: {}\n';

/** A checkout as its appliance.yaml has it, and what `open` makes of it now. */
function checkout(text = minimal) {
  const folder = temporaryFolder();
  const file = join(folder, 'appliance.yaml');
  const state = new StateDirectory(join(folder, '.holdfast'));
  const write = (content: string) => {
    writeFileSync(file, content);
  };
  write(text);
  const open = () => ({ ...loadAppliance(folder), state }) as unknown as Appliance;
  const install = () => {
    state.ensure();
    writeFileSync(state.installed, '{}');
  };
  return { open, write, install, state };
}

test('what an operator chose counts for this machine from then on, and appliance.yaml stays as it is', () => {
  const { open } = checkout();
  expect(open().config.runtime).toBe('local');
  expect(chooseRuntime(open(), 'lxd')).toBe(true);
  expect(open().config.runtime).toBe('lxd');
  expect(chooseRuntime(open(), 'lxd')).toBe(false);
  expect(chooseRuntime(open(), 'local')).toBe(true);
  expect(open().config.runtime).toBe('local');
});

test('what is set up is not taken elsewhere, where it would begin with no data', () => {
  const { open, install } = checkout();
  install();
  expect(() => chooseRuntime(open(), 'lxd')).toThrow(
    'cannot set up in containers (runtime lxd): this appliance is set up on this machine (runtime local)',
  );
  expect(chooseRuntime(open(), 'local')).toBe(false);
});

test('nor is a setup that was begun', () => {
  const local = checkout();
  noteSetupOf(local);
  expect(chooseRuntime(local.open(), 'lxd')).toBe(true);
  const begun = checkout();
  noteSetupOf(begun);
  mkdirSync(join(begun.state.postgres, 'cluster'), { recursive: true });
  expect(() => chooseRuntime(begun.open(), 'lxd')).toThrow(
    'a setup on this machine (runtime local) was begun',
  );
  const inside = checkout(`${minimal}runtime: lxd\n`);
  noteSetupOf(inside);
  expect(() => chooseRuntime(inside.open(), 'local')).toThrow(
    'a setup in containers (runtime lxd) was begun',
  );
});

function noteSetupOf({ state }: ReturnType<typeof checkout>): void {
  state.ensure();
  noteSetup(state, { step: 'preflight', title: 'Check the appliance' });
}

test('a vendor who changes his mind later is told of, and not followed', () => {
  const { open, write } = checkout();
  expect(keepRuntime(open())).toBeUndefined();
  write(`${minimal}runtime: lxd\n`);
  expect(open().config.runtime).toBe('local');
  expect(keepRuntime(open())).toBe(
    'runtime: local on this machine, where it was set up; appliance.yaml says lxd',
  );
});

test('a setting that cannot be read is no reason to go on without it', () => {
  const { open, state } = checkout();
  state.ensure();
  for (const text of ['', '{"runtime":"podman"}', 'null']) {
    writeFileSync(join(state.path, 'box.json'), text);
    expect(open).toThrow(/cannot read .*box\.json, which says where this appliance runs/);
  }
});
