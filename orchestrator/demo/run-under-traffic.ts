import { setTimeout as sleep } from 'node:timers/promises';
import { isServicesStopped } from './cli-events.ts';
import type { Ended } from './holdfast-cli.ts';
import { countWrites } from './ledger.ts';
import type { Stage } from './stage.ts';
import { startTraffic, type TrafficReport } from './traffic.ts';

/** How long the client works before and after a run, so that there is something on both sides of it. */
const aroundMs = 700;

/** What the serial numbers of the client's machines begin with, in all runs. */
export const clientMark = 'CLIENT-';

export interface RunUnderTraffic {
  readonly ended: Ended;
  readonly traffic: TrafficReport;
  /** Those of the machines that the client made during this run. */
  readonly prefix: string;
  /** Acknowledged after the services had stopped: zero if the appliance never took a write again. */
  readonly writesAfter: number;
}

/**
 * Runs a command of Holdfast while a client works with the appliance.
 *
 * @param number of the run, from 0. Rows made before its services stop are of that era, later ones of the next.
 */
export async function runUnderTraffic(
  { cli, ports, ledger, tell }: Stage,
  number: number,
  args: readonly string[],
): Promise<RunUnderTraffic> {
  const prefix = `${clientMark}${number + 1}-`;
  const traffic = startTraffic(ports.backend, prefix, ledger, number);
  let report: TrafficReport | undefined;
  try {
    await sleep(aroundMs);
    const ended = await cli.run([...args, '--json'], (event) => {
      if (isServicesStopped(event)) traffic.nextEra();
      tell.event(event);
    });
    await sleep(aroundMs);
    report = await traffic.stop();
    const writesAfter = countWrites(ledger.rows((era) => era === number + 1));
    return { ended, traffic: report, prefix, writesAfter };
  } finally {
    if (!report) await traffic.stop();
  }
}
