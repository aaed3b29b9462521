import { describeError } from './refusal.ts';

/*
 * What migrations return, read strictly: what is neither a yes nor a no would count as a yes, and be recorded as done.
 */

type Fields = Readonly<Record<string, unknown>>;

/** Whether it is to run; a migration without shouldRun() is. @throws Error for what is no boolean */
export function readShouldRun(answer: unknown): boolean {
  if (answer === undefined) return true;
  if (typeof answer === 'boolean') return answer;
  throw new Error(`its shouldRun() returned ${nameOf(answer)}: return true or false`);
}

/** The number of rows that a migration says it changed. @throws Error when it says that it failed, in any of the usual ways */
export function readOutcome(outcome: unknown): number | undefined {
  if (outcome === false) throw new Error('it returned false');
  if (outcome instanceof Error) throw outcome;
  if (typeof outcome !== 'object' || outcome === null) return undefined;
  const { success, ok, error, recordsProcessed }: Fields = { ...outcome };
  const isFailed = success === false || ok === false;
  if (isFailed || (error !== undefined && error !== null && error !== false && error !== ''))
    throw new Error(describeError(error ?? `it returned ${nameOf(outcome)}`), { cause: error });
  for (const [name, value] of Object.entries({ success, ok }))
    if (typeof value !== 'boolean' && value !== undefined)
      throw new Error(`it returned ${name}: ${nameOf(value)}, which is neither true nor false`);
  const rows = Number(recordsProcessed ?? Number.NaN);
  return Number.isSafeInteger(rows) && rows >= 0 ? rows : undefined;
}

const VERDICTS = ['ok', 'success', 'valid'] as const;

/**
 * The report of verify(), where it gave one.
 *
 * @throws Error with it, unless it is `true`, nothing, or says that all is well and nothing else
 */
export function readVerification(report: unknown): string | undefined {
  if (report === undefined || report === true) return undefined;
  if (report === false) throw new Error('its verify() found it wrong');
  const fields: Fields = typeof report === 'object' && report !== null ? { ...report } : {};
  const said = VERDICTS.filter((name) => name in fields);
  if (said.length === 0 || said.some((name) => fields[name] !== true))
    throw new Error(
      `its verify() found it wrong: ${nameOf(report)}${said.length === 0 ? ' (return true or false, or a report with "ok")' : ''}`,
    );
  return nameOf(report);
}

function nameOf(value: unknown): string {
  if (value instanceof Error) return describeError(value);
  try {
    return textOf(value) ?? String(value);
  } catch {
    return String(value);
  }
}

/** JSON of whatever a migration returned: counts of the database are bigints, which JSON has not. */
export function textOf(value: unknown): string | undefined {
  return JSON.stringify(value, (_, one: unknown) => (typeof one === 'bigint' ? String(one) : one));
}

/** What can be kept as JSON of whatever a migration returned. */
export function toPlain(value: unknown): unknown {
  try {
    const text = textOf(value);
    return text === undefined || text.length > 100_000 ? undefined : JSON.parse(text);
  } catch {
    return undefined;
  }
}
