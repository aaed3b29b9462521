import { Refusal } from '../../lib/errors.ts';
import { parsePostgres } from '../lint/postgres/parse.ts';
import { readOwners } from './owners.ts';
import { partsOf, type Part } from './script-parts.ts';
import { inOrder } from './sqlite-order.ts';
import { sqlitePartsOf } from './sqlite-parts.ts';
import { orderOfReferences } from './sqlite-references.ts';

/** A migration to be written: its name without the time, and its SQL. */
export interface NewMigration {
  readonly name: string;
  readonly sql: string;
}

/**
 * Takes a script of Prisma's apart: one migration a table, `create_`, `update_` or `drop_`. Prisma's own order can be
 * applied; so two statements that have to do with each other keep theirs, and only the others change places. A new type
 * goes with the first table that uses it; tables that wait for each other get a second migration, at the end.
 *
 * @param sql as `prisma migrate diff --script` writes it; `loadGrammar` comes before
 * @param before the schema that the script starts from, as pg_dump writes it
 * @throws Refusal where the script does not parse, as with a quote in a name
 */
export function splitByTable(sql: string, before: string): NewMigration[] {
  const { statements, syntaxError } = parsePostgres(sql);
  if (syntaxError)
    throw new Refusal(
      `cannot write one migration a table: the SQL that Prisma writes for this schema does not parse, line ${syntaxError.line}: ${syntaxError.message.split('\n')[0] ?? ''}`,
      'Prisma does not escape a double quote in a name: give what @map or @@map calls so another one',
    );
  return gather(partsOf(statements, readOwners(before)));
}

/**
 * The same of a script for SQLite, in the order that its foreign keys ask for; tables that wait for each other share a
 * migration.
 *
 * @param history the SQL of all migrations before it
 */
export const splitSqliteByTable = async (sql: string, history: string): Promise<NewMigration[]> =>
  gather(inOrder(sqlitePartsOf(sql, history), await orderOfReferences(sql, history)));

function gather(parts: readonly Part[]): NewMigration[] {
  const needs = needsOf(parts);
  const done = new Set<Part>();
  const migrations: NewMigration[] = [];
  while (done.size < parts.length) {
    const next = chooseNext(
      parts.filter((part) => !done.has(part)),
      needs,
      done,
    );
    for (const part of next) done.add(part);
    migrations.push(asMigration(next));
  }
  return migrations;
}

type Needs = ReadonlyMap<Part, readonly Part[]>;

/** Of each part those before it that have to do with it: one of the two changes what the other uses. */
function needsOf(parts: readonly Part[]): Needs {
  return new Map(
    parts.map((part, index) => [part, parts.slice(0, index).filter((earlier) => concern(earlier, part))]),
  );
}

function concern(one: Part, other: Part): boolean {
  if (one.writes === undefined || other.writes === undefined) return true;
  const touch = (writes: readonly string[], { writes: written = [], reads }: Part) =>
    writes.some((what) => written.includes(what) || reads.includes(what));
  return touch(one.writes, other) || touch(other.writes, one);
}

/** A group that can be applied whole; where each waits for another, as much as can be of the first. */
function chooseNext(left: readonly Part[], needs: Needs, done: ReadonlySet<Part>): Part[] {
  const main = left.filter(({ isHelper }) => !isHelper);
  // Types that nothing uses are left.
  const groups = [...new Set((main.length === 0 ? left : main).map(({ group }) => group))];
  const choices = groups.map((group) => {
    const wanted = left.filter((part) => part.group === group);
    const parts = takeFrom(wanted, left, needs, done);
    return { parts, isWhole: wanted.every((part) => parts.includes(part)) };
  });
  const rank = ({ parts }: { parts: readonly Part[] }) => ['create', 'update', 'drop'].indexOf(verbOf(parts));
  const possible = choices.filter(({ parts }) => parts.length > 0).toSorted((a, b) => rank(a) - rank(b));
  return (possible.find(({ isWhole }) => isWhole) ?? possible[0])?.parts ?? [];
}

/** What of a group can be applied now, with the types and sequences that it waits for. */
function takeFrom(
  wanted: readonly Part[],
  left: readonly Part[],
  needs: Needs,
  done: ReadonlySet<Part>,
): Part[] {
  const taken: Part[] = [];
  const isThere = (part: Part) => done.has(part) || taken.includes(part);
  for (const part of wanted) {
    const missing = (needs.get(part) ?? []).filter((one) => !isThere(one));
    const helpers = left.filter((one) => one.isHelper && missing.includes(one));
    const isReady = (one: Part) =>
      (needs.get(one) ?? []).every((other) => isThere(other) || helpers.includes(other));
    if (missing.length === helpers.length && helpers.every(isReady)) taken.push(...helpers, part);
  }
  return taken;
}

function verbOf(parts: readonly Part[]): Part['verb'] {
  const verbs = new Set(
    parts.filter(({ isHelper }) => !isHelper || parts.length === 1).map(({ verb }) => verb),
  );
  if (verbs.has('create')) return verbs.has('drop') ? 'update' : 'create';
  return verbs.has('drop') ? 'drop' : 'update';
}

function asMigration(parts: readonly Part[]): NewMigration {
  const main = parts.find(({ isHelper }) => !isHelper) ?? parts[0];
  return {
    name: toSnake(`${verbOf(parts)}_${main?.word ?? 'database'}`),
    sql: `${parts.map(({ text }) => text).join('\n\n')}\n`,
  };
}

const toSnake = (name: string) =>
  name
    .replaceAll(/([a-z0-9])([A-Z])/g, '$1_$2')
    .replaceAll(/[^A-Za-z0-9]+/g, '_')
    .toLowerCase();
