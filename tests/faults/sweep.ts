import { parseArgs } from 'node:util';
import { sweep } from '../support/sweep.ts';

/*
 * `./run.sh test sweep --count N --seed S`: kills N processes at random instants, and says whether the appliance came
 * out whole each time. The seed is printed, so that a plan can be run again.
 */

const { values } = parseArgs({
  options: {
    count: { type: 'string', default: '40' },
    seed: { type: 'string' },
    database: { type: 'string', default: 'postgresql' },
  },
});
const count = Number(values.count);
const seed = Number(values.seed ?? Date.now() % 1_000_000);
const { database } = values;
const isKnown = database === 'postgresql' || database === 'sqlite';
if (!Number.isInteger(count) || count < 1 || !Number.isInteger(seed) || !isKnown) {
  console.error(
    'sweep: --count and --seed are whole numbers, --database is postgresql or sqlite. Nothing was done.\n  Next: ./run.sh test sweep --count 40',
  );
  process.exit(2);
}
console.log(`sweep of ${count} kills on ${database} with --seed ${seed}`);
const startedAt = performance.now();
const { kills, before, after, mixed, writes } = await sweep({
  count,
  seed,
  database,
  note: (line) => console.log(`  ${line}`),
});
for (const story of mixed) console.log(`\nMIXED: ${story}`);
const minutes = ((performance.now() - startedAt) / 60_000).toFixed(1);
console.log(
  `\n${before + after} cases, ${before} as before, ${after} as after; ${writes} acknowledged writes; ${minutes} min`,
);
console.log(
  `${kills} kills, ${mixed.length === 0 ? kills : kills - mixed.length} all-before or all-after, ${mixed.length} mixed`,
);
process.exitCode = mixed.length === 0 ? 0 : 1;
