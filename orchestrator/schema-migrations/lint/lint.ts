import { visible } from '../../lib/printable.ts';
import { isUnchanged, type MigrationFile } from '../migration-file.ts';
import type { Directives } from './directives.ts';
import type { Finding, Remark } from './finding.ts';
import type { Reviewer } from './postgres/lint.ts';
import { rules } from './rules.ts';

/** What is known of the migrations beside their text. */
export interface LintOptions {
  /** Names of those to look at; the others only tell what the schema is by then. All where absent. */
  readonly pending?: ReadonlySet<string> | undefined;
  /** Checksums of those that were applied, by name. */
  readonly applied?: ReadonlyMap<string, string> | undefined;
  /** Each must bring its way back. */
  readonly requireDown?: boolean;
}

/** A migration that was looked at. */
export interface Linted {
  readonly migration: MigrationFile;
  readonly directives: Directives;
  readonly findings: readonly Finding[];
}

/**
 * Looks at migrations without running them.
 *
 * @param migrations in their order, the applied ones too: what a change means depends on what was there
 */
export function lint(
  migrations: readonly MigrationFile[],
  review: Reviewer,
  { pending, applied, requireDown = false }: LintOptions = {},
): Linted[] {
  return migrations.flatMap((migration) => {
    const { remarks, directives } = review(migration.sql);
    const checksum = applied?.get(migration.name);
    const wasEdited = checksum !== undefined && !isUnchanged(migration.sql, checksum);
    const isLookedAt = pending === undefined || pending.has(migration.name);
    const all: Remark[] = [
      ...(wasEdited
        ? [{ rule: 'edited', line: 1, message: 'it is not what was applied to this database' } as const]
        : []),
      ...(isLookedAt ? [...remarks, ...aboutFile(migration, directives, requireDown)] : []),
    ];
    if (all.length === 0 && !isLookedAt) return [];
    const findings = all
      .map((remark) => toFinding(remark, migration, directives))
      .toSorted((one, other) => one.line - other.line);
    return [{ migration, directives, findings }];
  });
}

function aboutFile({ name, down }: MigrationFile, directives: Directives, requireDown: boolean): Remark[] {
  const remarks: Remark[] = directives.misspelled.map(({ line, message }) => ({
    ...{ rule: 'unknown-accept', line, message },
  }));
  if (!isWellNamed(name)) remarks.push({ rule: 'name', line: 1, message: `its folder is called ${name}` });
  if (requireDown && down === undefined && directives.rollback.length === 0)
    remarks.push({ rule: 'no-down', line: 1, message: 'it has no down.sql' });
  return remarks;
}

/** YYYYMMDDHHMMSS_snake_case, with a date that there is. */
export function isWellNamed(name: string): boolean {
  const match = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)_[a-z0-9]+(?:_[a-z0-9]+)*$/.exec(name);
  if (!match) return false;
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = match.slice(1).map(Number);
  const date = new Date(Date.UTC(year, month - 1, day, hour, minute, second));
  return (
    date.getUTCMonth() === month - 1 &&
    date.getUTCDate() === day &&
    date.getUTCHours() === hour &&
    minute < 60 &&
    second < 60
  );
}

function toFinding(remark: Remark, { name, file }: MigrationFile, { accepted }: Directives): Finding {
  const { rule, line, message, table, severity = rules[rule].severity, destructive = false } = remark;
  const reason = accepted.get(rule);
  return {
    // Names of tables may hold anything, and it goes to a terminal.
    ...{ rule, severity, destructive, migration: name, file, line, message: visible(message) },
    ...(table === undefined ? {} : { table }),
    ...(reason === undefined ? {} : { accepted: reason }),
  };
}
