import { visible } from '../../lib/printable.ts';
import { higherOf } from '../../tools/versions.ts';
import { isRuleName, type RuleName } from './rules.ts';

/** A comment of a migration's file. */
export interface Comment {
  readonly text: string;
  /** From 1. */
  readonly line: number;
}

/** What a vendor tells the updater in comments of a migration's file. */
export interface Directives {
  /** Rule -> the reason why its findings are accepted. */
  readonly accepted: ReadonlyMap<RuleName, string>;
  /** Comments that accept what no rule says, give no reason, ask for a version or say what breaks in other words. */
  readonly misspelled: readonly { readonly line: number; readonly message: string }[];
  /** `-- Requires application version >= X`, the highest of them. */
  readonly requiresVersion: string | undefined;
  /** `-- BREAKING: ...` */
  readonly breaking: readonly string[];
  /** `-- Rollback: ...`, a line of SQL each; it may be continued by further such lines. */
  readonly rollback: readonly string[];
}

const accept = /^holdfast:accept\b\s*(?<rules>[^:]*)(?::(?<reason>.*))?$/is;
const requires = /^requires\s+application\s+version\s*>=\s*v?(?<version>\d[\w.+-]*)/i;
/**
 * What is nearly that: a demand that nobody heeds is worse than none. It asks for the application, or for nothing else by
 * name, and says which version behind it; "requires PostgreSQL version 14" is said to people.
 */
const meantToRequire = new RegExp(
  [
    String.raw`^requires\s+(?:the\s+)?app\w*(?:\s+\w+)?\s+version\b`,
    String.raw`\brequires?\b(?:\W+(?:the|our|an?|at|least|minimum|min))*\W+` +
      String.raw`(?:app(?:lication)?|version|app(?:lication)?(?:\s+[a-z]+){0,4}\s+version)` +
      String.raw`(?:\s+(?:at|least|number|of))*\s*(?:[:=<>]|v?\d)`,
  ].join('|'),
  'i',
);
const breaking = /^breaking(?:\s+change)?\s*:\s*(?<what>.+)$/is;
const meantToBreak = /^\W*(?:BREAKING\b|[Bb]reaking(?:[\s_-]+changes?\b|\s*[-–—:]\s))/;
const rollback = /^rollback\s*:\s*(?<sql>.+)$/is;

/** It is shown above a question: a comment of several lines makes none of its own there. */
const onOneLine = (text: string) => visible(text.trim().replaceAll(/\s+/g, ' '));

/** Reads the comments of one file. Never throws: what is misspelled is told. */
export function parseDirectives(comments: readonly Comment[]): Directives {
  const accepted = new Map<RuleName, string>();
  const misspelled: { line: number; message: string }[] = [];
  const told = {
    version: undefined as string | undefined,
    breaking: [] as string[],
    rollback: [] as string[],
  };
  for (const { text, line } of comments) {
    const acceptance = accept.exec(text)?.groups;
    if (acceptance) {
      const names = (acceptance['rules'] ?? '').split(/[\s,]+/).filter((name) => name !== '');
      const reason = onOneLine(acceptance['reason'] ?? '');
      if (reason === '') misspelled.push({ line, message: 'it gives no reason' });
      if (names.length === 0) misspelled.push({ line, message: 'it names no rule' });
      for (const name of names) {
        if (!isRuleName(name)) misspelled.push({ line, message: `there is no rule "${name}"` });
        else if (reason !== '') accepted.set(name, reason);
      }
    }
    const version = requires.exec(text)?.groups?.['version'];
    if (version !== undefined) told.version = higherOf(told.version ?? version, version);
    else if (meantToRequire.test(text))
      misspelled.push({
        line,
        message: 'it asks for a version, and does not begin with "Requires application version >= X"',
      });
    const what = breaking.exec(text)?.groups?.['what'];
    if (what !== undefined) told.breaking.push(onOneLine(what));
    else if (meantToBreak.test(text))
      misspelled.push({ line, message: 'it says that something breaks, and not as "BREAKING: what"' });
    const sql = rollback.exec(text)?.groups?.['sql'];
    if (sql !== undefined) told.rollback.push(sql.trim());
  }
  return {
    ...{ accepted, misspelled, requiresVersion: told.version },
    ...{ breaking: told.breaking, rollback: told.rollback },
  };
}
