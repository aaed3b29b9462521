import { messageOf } from '../../lib/errors.ts';
import { isRecord } from './is-record.ts';

/** What PostgreSQL said about a script, in the form that P3018 shows. */
export interface ScriptFailure {
  /** The five-character SQLSTATE, or `none`. */
  readonly code: string;
  readonly text: string;
}

const linesBefore = 5;

/**
 * Describes a failed script: severity and message, DETAIL, HINT, CONTEXT, and the line with the five before it.
 *
 * Source: `apply_migration_script` in prisma-engines' native PostgreSQL connector. Ours counts PostgreSQL's position in
 * characters, as the protocol does (the native one takes it for bytes), and leaves out its colours and the debug dump.
 */
export function describeScriptError(error: unknown, script: string): ScriptFailure {
  const fields = isRecord(error) ? error : {};
  const field = (name: string): string => (typeof fields[name] === 'string' ? fields[name] : '');
  const text = [
    `${field('severity') === '' ? 'ERROR' : field('severity')}: ${messageOf(error)}`,
    field('detail') === '' ? '' : `DETAIL: ${field('detail')}`,
    field('hint') === '' ? '' : `HINT: ${field('hint')}`,
    field('where') === '' ? '' : `CONTEXT: ${field('where')}`,
    describePosition(script, Number(field('position'))),
  ];
  const isSqlState = /^[0-9A-Z]{5}$/.test(field('code'));
  return { code: isSqlState ? field('code') : 'none', text: text.filter((part) => part !== '').join('\n') };
}

/** The lines up to the one that holds the character at `position` (counted from 1), numbered; empty for none. */
export function describePosition(script: string, position: number): string {
  if (!Number.isInteger(position) || position < 1) return '';
  // A position counts characters; a string's index counts UTF-16 units.
  const before = Array.from(script).slice(0, position - 1);
  const lineNumber = 1 + before.filter((character) => character === '\n').length;
  const lines = script.split('\n');
  const first = Math.max(1, lineNumber - linesBefore);
  const shown = lines.slice(first - 1, lineNumber).map((line, index) => {
    const number = first + index;
    return `${number === lineNumber ? '>' : ' '}${String(number).padStart(4)} ${line.replace(/\r$/, '')}`;
  });
  return `\nPosition:\n${shown.join('\n')}`;
}
