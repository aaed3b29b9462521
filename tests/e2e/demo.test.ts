import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { execa } from 'execa';
import { describe, expect, it } from 'vitest';
import { findByEnvironment } from '../../orchestrator/lib/processes.ts';

/*
 * The demo as somebody would try it on a fresh clone: the whole program through its door, on real parts. It plays what
 * is committed, and works under .holdfast/demo of this checkout.
 */

const home = join(import.meta.dirname, '..', '..');
const door = join(home, 'run.sh');
const sandbox = join(home, '.holdfast', 'demo');

/** Everything that runs in the sandbox: what carries the demo's mark, and the database server, which carries its own. */
function findRunning(): number[] {
  return [
    ...findByEnvironment('DEMO_SANDBOX', sandbox),
    ...findByEnvironment('HOLDFAST_SERVICE', join(sandbox, 'appliance/.holdfast/postgres/postgres')),
  ];
}

describe('./run.sh demo', () => {
  it('killed in the middle: the next one ends what it left, updates, restores and rolls back; nothing is lost', async () => {
    const killed = spawn(door, ['demo'], { stdio: ['ignore', 'pipe', 'inherit'] });
    for await (const chunk of killed.stdout.setEncoding('utf8')) {
      if (String(chunk).includes('✔ Back up the files')) break;
    }
    killed.kill('SIGKILL');
    if (killed.exitCode === null && killed.signalCode === null) await once(killed, 'exit');
    const left = findRunning();
    expect(left.length).toBeGreaterThan(0);

    const { exitCode, stdout } = await execa(door, ['demo', '--json'], { reject: false, stdin: 'ignore' });
    const lines = stdout.split('\n').map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(lines.filter(({ type }) => type === 'result')).toHaveLength(1);
    const time = {
      totalMs: expect.any(Number),
      outageMs: expect.any(Number),
      rowsChecked: expect.any(Number),
    };
    const well = { ...time, lostWrites: 0 };
    expect(lines.at(-1)).toMatchObject({
      type: 'result',
      ok: true,
      exitCode: 0,
      runs: [
        { ...well, outcome: 'updated' },
        { ...well, outcome: 'restored', failedStep: 'migrate-data', identical: true },
        { ...well, outcome: 'rolled-back', identical: true, setAside: expect.any(Number) },
      ],
    });
    const runs = lines.at(-1)?.['runs'] as Record<string, number>[];
    for (const run of runs) {
      expect(run['rowsChecked']).toBeGreaterThan(600);
      expect(run['outageMs']).toBeGreaterThan(0);
    }
    expect(runs[2]?.['setAside']).toBeGreaterThan(0);
    expect(exitCode).toBe(0);
    expect(findRunning()).toEqual([]);
  });
});
