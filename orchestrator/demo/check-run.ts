import type { Capture } from './capture.ts';
import { textOf } from './cli-events.ts';
import { compareAfterUpdate } from './compare-dumps.ts';
import { pick, withoutSerials, type Dump } from './dump.ts';
import { judge, type Content, type Judgement, type LedgerRow } from './ledger.ts';
import { clientMark, type RunUnderTraffic } from './run-under-traffic.ts';
import type { RunReport } from './stage.ts';

/** What a run has to come to. */
export interface Expected {
  readonly title: string;
  readonly outcome: 'updated' | 'restored' | 'rolled-back';
  readonly exitCode: number;
  readonly failedStep?: string;
}

const machines = 'public.machines';

/** Exit code, outcome, failed step, and a client who could work before and after. */
export function checkEnd({ ended, traffic, writesAfter }: RunUnderTraffic, expected: Expected): string[] {
  const { exitCode, result } = ended;
  const problems = traffic.oddities.map((oddity) => `the client: ${oddity}`);
  const outcome = textOf(result, 'outcome');
  const failedStep = textOf(result, 'failedStep');
  if (exitCode !== expected.exitCode || outcome !== expected.outcome) {
    const why = textOf(result, 'error') ?? ended.aside.slice(-5).join(' ');
    problems.push(
      `${expected.title} ended with "${outcome ?? 'no result'}" (exit ${exitCode}) instead of "${expected.outcome}" (exit ${expected.exitCode}): ${why}`,
    );
  }
  if (failedStep !== expected.failedStep)
    problems.push(
      `${expected.title}: the failed step is ${failedStep ?? 'none'} instead of ${expected.failedStep ?? 'none'}`,
    );
  if (traffic.outageMs === 0) problems.push(`${expected.title}: no outage was seen, so nothing was stopped`);
  if (writesAfter === 0) problems.push(`${expected.title}: no write was acknowledged afterwards`);
  return problems;
}

/** Every row that was there holds what it held, the new columns are filled, and the new version answers with its page. */
export function checkUpdated(before: Capture, after: Capture, prefix: string): string[] {
  const differences = compareAfterUpdate(
    withoutSerials(before.dump, prefix),
    withoutSerials(after.dump, prefix),
    { table: machines, columns: ['asset_tag', 'zone'] },
  );
  for (const part of ['"release":"2.0.0"', 'Inventory 2'])
    if (!after.answers.includes(part)) differences.push(`the new version does not answer: ${after.answers}`);
  return differences;
}

/** Looks the client's writes up in a database. */
export function findWrites(rows: readonly LedgerRow[], dump: Dump): Judgement {
  const all = pick(dump.tables.get(machines), ['serial', 'name', 'location', 'status']);
  const found = new Map<string, Content>();
  for (const { serial = '', name = '', location = '', status = '' } of all)
    if (serial.startsWith(clientMark)) found.set(serial, { serial, name, location, status });
  return judge(rows, found);
}

/** What is wrong with the client's writes, for people. */
export function describeJudgement(judgement: Judgement, where: string): string[] {
  const { lostWrites, strangers } = judgement;
  return [
    ...(lostWrites === 0 ? [] : [`${lostWrites} acknowledged writes are not in ${where}`]),
    ...(strangers.length === 0
      ? []
      : [`${strangers.length} rows in ${where} were never written there, such as ${strangers[0]}`]),
  ];
}

/** What was found when the result of a run was looked into. */
export interface Findings {
  readonly lostWrites: number;
  /** How many rows were held against what they should be. */
  readonly rows: number;
  /** Where something was restored: what is not as it was. */
  readonly differences?: readonly string[];
  readonly setAside?: number;
  readonly problems: readonly string[];
}

/** Puts a report together. `identical` only where something was restored. */
export function reportRun(
  { ended, traffic }: RunUnderTraffic,
  { title }: Expected,
  { lostWrites, rows, differences, setAside, problems }: Findings,
): RunReport {
  const failedStep = textOf(ended.result, 'failedStep');
  return {
    title,
    outcome: textOf(ended.result, 'outcome') ?? 'failed',
    ...(failedStep === undefined ? {} : { failedStep }),
    totalMs: Math.round(ended.totalMs),
    outageMs: Math.round(traffic.outageMs),
    lostWrites,
    ...(differences === undefined ? {} : { identical: differences.length === 0 }),
    rowsChecked: rows,
    ...(setAside === undefined ? {} : { setAside }),
    problems: [
      ...problems,
      ...(differences ?? []).map((difference) => `${title}: not identical: ${difference}`),
    ],
  };
}
