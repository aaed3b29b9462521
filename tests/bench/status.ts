import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { execa } from 'execa';

/*
 * How long an operator waits for `./run.sh status`, against a bare Node and the budget of 250 ms:
 *
 *     ./run.sh bench status PATH
 *
 * PATH is an appliance that is set up: a checkout with a run.sh, or one that ours is pointed at with --appliance.
 */

const runs = 20;
const budgetMs = 250;

const path = process.argv[2];
if (path === undefined) {
  console.error('usage: ./run.sh bench status PATH    (an appliance that is set up)');
  process.exit(2);
}
const appliance = resolve(path);
const own = join(appliance, 'run.sh');
const [door, more] = existsSync(own)
  ? [own, []]
  : [join(import.meta.dirname, '..', '..', 'run.sh'), ['--appliance', appliance]];

/** The median of so many runs in ms, after one that fills the caches. */
async function median(file: string, args: readonly string[]): Promise<number> {
  const times: number[] = [];
  for (let run = 0; run <= runs; run += 1) {
    const startedAt = performance.now();
    await execa(file, args, { cwd: appliance });
    if (run > 0) times.push(performance.now() - startedAt);
  }
  const sorted = times.toSorted((a, b) => a - b);
  const middle = sorted.length / 2;
  return ((sorted[Math.floor(middle - 0.5)] ?? 0) + (sorted[Math.floor(middle)] ?? 0)) / 2;
}

const node = await median(process.execPath, ['--version']);
const status = await median(door, ['status', ...more]);
console.log(`node --version   ${node.toFixed(0)} ms`);
console.log(`./run.sh status  ${status.toFixed(0)} ms  (median of ${runs})`);
console.log(
  `${(status / node).toFixed(1)} times a bare Node, ${(status / budgetMs).toFixed(2)} of the budget of ${budgetMs} ms`,
);
