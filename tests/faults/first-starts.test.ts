import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, expect, test } from 'vitest';
import { waitFor } from '../../orchestrator/lib/wait.ts';
import { tally } from '../support/fault-tally.ts';
import { addHoldfast } from '../support/self-hosted.ts';

/* run.sh in a fresh clone, where everything is still to be made: Node, packages, runner. */

const folder = mkdtempSync(join(tmpdir(), 'first starts-'));
afterAll(() => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }));

/** A clone, and a PATH on which Node is too old to be used, and good enough for npm. */
async function freshClone(): Promise<{ run: string; env: Record<string, string> }> {
  const clone = join(folder, 'box');
  const bin = join(folder, 'bin');
  mkdirSync(clone);
  mkdirSync(bin);
  addHoldfast(clone);
  writeFileSync(join(clone, 'appliance.yaml'), 'version: 1\nname: box\nservices: {}\n');
  writeFileSync(join(clone, '.gitignore'), 'node_modules\n/.holdfast\n');
  for (const args of [
    ['init', '-q'],
    ['add', '-A'],
    ['-c', 'user.name=x', '-c', 'user.email=x@example.org', 'commit', '-qm', 'x'],
  ])
    await execa('git', args, { cwd: clone });
  const node = join(bin, 'node');
  writeFileSync(
    node,
    `#!/bin/sh\n[ "$*" != --version ] || { echo v18.0.0; exit; }\nexec '${process.execPath}' "$@"\n`,
  );
  chmodSync(node, 0o755);
  return { run: join(clone, 'run.sh'), env: { PATH: `${bin}:${process.env['PATH'] ?? ''}` } };
}

test('20 at once, and one that is killed in the middle: all answer, and nothing half-made is met or left', async (context) => {
  const { run, env } = await freshClone();
  const state = join(run, '../.holdfast');
  const killed = spawn('bash', [run, 'status'], {
    env: { ...process.env, ...env },
    detached: true,
    stdio: 'ignore',
  });
  const half = await waitFor(
    () => (existsSync(join(state, 'node')) && readdirSync(join(state, 'node')).length > 0 ? true : undefined),
    { timeoutMs: 60_000, everyMs: 5 },
  );
  expect(half).toBe(true);
  process.kill(-(killed.pid ?? 0), 'SIGKILL');
  await once(killed, 'exit');

  const all = await Promise.all(
    Array.from(
      { length: 20 },
      async () =>
        await execa('bash', ['-c', 'umask 000; exec "$@"', '-', 'bash', run, 'status', '--json'], {
          env,
          reject: false,
        }),
    ),
  );
  for (const { exitCode, stdout, stderr } of all) {
    expect({ exitCode, stderr: exitCode === 0 ? '' : stderr }).toEqual({ exitCode: 0, stderr: '' });
    expect(JSON.parse(stdout.trim().split('\n').at(-1) ?? '')).toMatchObject({ type: 'result', name: 'box' });
  }
  // One of them made each thing, the others waited for it.
  for (const what of ['Downloading Node', "Downloading Holdfast's"])
    expect(all.filter(({ stderr }) => stderr.includes(what))).toHaveLength(1);
  for (const part of ['node', 'dependencies', 'runner']) {
    expect(readdirSync(join(state, part)).filter((name) => name.startsWith('.'))).toEqual([]);
    expect(statSync(join(state, part)).mode & 0o777).toBe(0o700);
  }
  expect(statSync(state).mode & 0o777).toBe(0o700);
  tally(context, 'completed');
});
