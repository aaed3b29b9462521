import { checksumOf } from '../checksum.ts';
import type { BatchOptions } from './options.ts';
import type { Target } from './target.ts';

/** What a cursor belongs to: kept beside it, so that no other work goes on from there. */
export interface Plan {
  /** Model and table. */
  readonly rows: string;
  readonly key: readonly string[];
  /** SHA-256 each. */
  readonly where: string;
  readonly work: string;
  /** Of the migration's file and all that it imports from beside it; older cursors have none. */
  readonly code?: string;
  /** How many batches the file's text calls; older cursors do not say. */
  readonly calls?: number;
}

/** The migration as it is now. */
export interface Code {
  readonly checksum: string;
  /** Of its own file. */
  readonly text: string;
}

export function planOf(options: BatchOptions, target: Target, code: Code): Plan {
  const { where = '', set, rows, up } = options;
  return {
    rows: `${options.model ?? ''} ${withoutAlias(target.table)}`,
    key: target.key,
    where: checksumOf(typeof where === 'string' ? where : JSON.stringify(where, withBigints)),
    work: checksumOf(String(set ?? rows ?? up)),
    code: code.checksum,
    calls: code.text.match(/\bbatch\s*\(/g)?.length ?? 0,
  };
}

/** Which batches of this run have begun. */
export class Claims {
  readonly names = new Set<string>();
  /** By the work of the earlier attempt: the batch that goes on with its rows in another way. */
  readonly replaced = new Map<string, string>();
}

interface Left {
  readonly migration: string;
  readonly batch: string;
  /** The batch has no name of its own: it goes by its table, and by its place among the others. */
  readonly isNumbered: boolean;
  readonly done: number;
  readonly finished: boolean;
}

/** What is to be told of a batch that goes on. */
export interface Difference {
  readonly told: string;
  /** Some of its rows are as an earlier text left them. */
  readonly isStale: boolean;
}

/**
 * Looks whether a batch may go on where another attempt left it.
 *
 * @returns what is to be told: the rest is done in another way
 * @throws Error when rows would be left out, or stay as an earlier text left them
 */
export function comparePlans(earlier: Plan, now: Plan, left: Left): Difference | undefined {
  const { migration, batch, done, finished } = left;
  const rerun = `--rerun ${migration} does all of it afresh`;
  const afresh = `put that back, or do all of it afresh: --rerun ${migration}`;
  const refuse = (what: string): never => {
    throw new Error(
      `batch: "${batch}" has ${what} than when it ${finished ? 'was finished' : 'was left off'} after ${done} rows, which may not be the rows that it means now: ${afresh}`,
    );
  };
  if (withoutAlias(earlier.rows) !== now.rows) refuse('another table');
  if (earlier.key.join('\0') !== now.key.join('\0')) refuse(`another key (${now.key.join(', ')})`);
  const isMoved = earlier.where !== now.where;
  // Where all of the code is still the same, a filter that is not holds the time, or what a query gave.
  if (earlier.code === now.code)
    return isMoved
      ? { told: `"${batch}" goes by another "where" than after its first ${done} rows`, isStale: false }
      : undefined;
  if (isMoved) refuse('another "where"');
  if (earlier.work === now.work)
    return {
      told: finished
        ? `"${batch}" is not done again: its ${done} rows are as an earlier text of the migration, or of what it imports, left them; ${rerun}`
        : `"${batch}" goes on: ${done} rows were done by an earlier text of the migration, or of what it imports, and stay so; ${rerun}`,
      isStale: true,
    };
  if (finished)
    throw new Error(
      `batch: "${batch}" was finished, and was changed since: its ${done} rows are as the earlier text left them; ${afresh}`,
    );
  // By their order another batch may have got this one's rows.
  if (left.isNumbered && earlier.calls !== undefined && earlier.calls !== now.calls)
    throw new Error(
      `batch: "${batch}" was changed, and so was the number of batches: nobody can tell which of them did ${done} rows. Give that one the "name" '${batch}' and the others names of their own, or do all of it afresh: --rerun ${migration}`,
    );
  return {
    told: `was changed since its last attempt: ${done} rows were done by the earlier text and stay so; ${rerun}`,
    isStale: true,
  };
}

/** What an earlier attempt left of another batch of the same migration. */
export interface Other {
  readonly batch: string;
  readonly done: number;
  readonly plan: Plan | null;
}

/**
 * Looks whether a batch may begin with the first row.
 *
 * @throws Error when an earlier attempt did rows of the table under a name that this run has not used: they would be done twice
 */
export function verifyNew(
  plan: Plan,
  others: readonly Other[],
  { migration, batch, claims }: Pick<Left, 'migration' | 'batch'> & { readonly claims: Claims },
): void {
  const rerun = `do all of it afresh: --rerun ${migration}`;
  const replaced = claims.replaced.get(workOf(plan));
  if (replaced !== undefined)
    throw new Error(
      `batch: "${batch}" does what "${replaced}" did in an earlier attempt, whose rows it would do twice: bring them back into their order, or ${rerun}`,
    );
  const isDown = batch.startsWith('down ');
  const left = others.find(
    (other) =>
      other.done > 0 &&
      other.plan !== null &&
      tableOf(other.plan) === tableOf(plan) &&
      other.batch.startsWith('down ') === isDown &&
      !claims.names.has(other.batch),
  );
  if (left === undefined) return;
  const name = left.batch.replace(/^down /, '');
  throw new Error(
    `batch: "${batch}" begins with the first row, and an earlier attempt did ${left.done} rows of that table as "${left.batch}": give it back its name (name: '${name}'), put what is new behind that, or ${rerun}`,
  );
}

/** The name that the migration calls it by is no part of the table. */
function withoutAlias(table: string): string {
  return table.replace(/ AS "(?:[^"]|"")*"$/, '');
}

function tableOf({ rows }: Plan): string {
  return withoutAlias(rows).replace(/^\S* (?:ONLY )?/, '');
}

function withBigints(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? `${value}n` : value;
}

/** What is done with which table. */
export function workOf(plan: Plan): string {
  return `${tableOf(plan)} ${plan.work}`;
}
