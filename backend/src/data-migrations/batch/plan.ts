import { checksumOf } from '../checksum.ts';
import type { BatchOptions } from './options.ts';
import type { Target } from './target.ts';

/** What a cursor belongs to: kept beside it, so that no other work goes on from there. */
export interface Plan {
  readonly rows: string;
  readonly key: readonly string[];
  /** SHA-256 each. */
  readonly where: string;
  readonly work: string;
  readonly file: string;
}

/** @param text of the migration's file */
export function planOf(options: BatchOptions, target: Target, text: string): Plan {
  const { where = '', set, rows, up } = options;
  return {
    rows: `${options.model ?? ''} ${target.table}`,
    key: target.key,
    where: checksumOf(typeof where === 'string' ? where : JSON.stringify(where, withBigints)),
    work: checksumOf(String(set ?? rows ?? up)),
    file: checksumOf(text),
  };
}

interface Left {
  readonly migration: string;
  readonly batch: string;
  readonly done: number;
  readonly finished: boolean;
}

/**
 * Looks whether a batch may go on where another attempt left it.
 *
 * @returns what is to be told: the rest is done in another way
 * @throws Error when rows would be left out, or stay as an earlier text left them
 */
export function comparePlans(earlier: Plan, now: Plan, left: Left): string | undefined {
  const { migration, batch, done, finished } = left;
  const afresh = `put that back, or do all of it afresh: --rerun ${migration}`;
  const refuse = (what: string): never => {
    throw new Error(
      `batch: "${batch}" has ${what} than when it ${finished ? 'was finished' : 'was left off'} after ${done} rows, which may not be the rows that it means now: ${afresh}`,
    );
  };
  if (earlier.rows !== now.rows) refuse('another table');
  if (earlier.key.join('\0') !== now.key.join('\0')) refuse(`another key (${now.key.join(', ')})`);
  // In a file that is still the same, a filter that is not holds the time, or what a query gave.
  if (earlier.file === now.file) return undefined;
  if (earlier.where !== now.where) refuse('another "where"');
  if (earlier.work === now.work) return undefined;
  if (finished)
    throw new Error(
      `batch: "${batch}" was finished, and was changed since: its ${done} rows are as the earlier text left them; ${afresh}`,
    );
  return `was changed since its last attempt: ${done} rows were done by the earlier text and stay so; --rerun ${migration} does all of it afresh`;
}

function withBigints(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? `${value}n` : value;
}
