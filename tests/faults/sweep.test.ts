import { expect, test } from 'vitest';
import { tally } from '../support/fault-tally.ts';
import { sweep } from '../support/sweep.ts';
import { testedDatabase } from '../support/tested-database.ts';
import { isThorough } from '../support/thoroughness.ts';

/* More, with another seed and with every case told: ./run.sh test sweep --count 300 --seed 7 */
const count = isThorough ? 40 : 6;

test(
  `killed at ${count} random instants, the appliance is one whole version each time`,
  { timeout: 900_000 },
  async (context) => {
    const report = await sweep({ count, seed: 1, database: testedDatabase });

    expect(report.mixed).toEqual([]);
    expect(report.kills).toBeGreaterThanOrEqual(count);
    // A sweep that only ever came too early or too late, or lost its client, would prove nothing.
    expect(Math.min(report.before, report.after)).toBeGreaterThan(0);
    expect(report.writes).toBeGreaterThan(100);
    tally(context, 'restored', report.before);
    tally(context, 'completed', report.after);
  },
);
