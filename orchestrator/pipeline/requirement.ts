import { parseCode } from './requirement-in-code.ts';

/*
 * Reads what a data migration's file says of itself from its text: the code of a version that is not installed is never
 * executed. What is no plain text there is refused by whoever asks, never taken for nothing.
 */

/** What a data migration's file says of itself, as far as the order of releases goes. */
export interface Requirement {
  /** The schema migration that must not run before it. */
  readonly requiredBefore: string | undefined;
  /** The first release that has it. */
  readonly introducedIn: string | undefined;
  /** Where `requiredBefore` stands in a way that cannot be read, as `line 3`. */
  readonly unreadable: string | undefined;
}

/** Reads it from the text. A comment or a text of the code is no declaration; in a file of SQL a comment is. */
export function parseRequirement(path: string, text: string): Requirement {
  return path.endsWith('.sql') ? parseSql(text) : parseCode(path, text);
}

const SQL =
  /(?<comment>--.*|\/\*[^]*?\*\/)|[eE]'(?:[^'\\]|\\[^]|'')*'|'(?:[^']|'')*'|"[^"]*"|\$(?<tag>\w*)\$[^]*?\$\k<tag>\$|[^]/g;
const MENTION = /required[ _-]?before/gi;

function parseSql(text: string): Requirement {
  const found = { requiredBefore: undefined, introducedIn: undefined } as Record<string, string | undefined>;
  const understood = new Set<number>();
  for (const { groups, index } of text.matchAll(SQL)) {
    let at = index;
    for (const line of (groups?.['comment'] ?? '').split('\n')) {
      const [, key = ''] = /\b(requiredBefore|introducedIn)\b/i.exec(line) ?? [];
      const said = new RegExp(
        `^[-/*\\s]*${key}\\s*[:=]\\s*(['"]?)([^\\s'"]+?)\\1[.;]?\\s*(?:\\*/)?\\s*$`,
      ).exec(line)?.[2];
      if (key !== '' && said !== undefined) {
        const name = /^r/i.test(key) ? 'requiredBefore' : 'introducedIn';
        found[name] ??= said;
        if (found[name] === said) understood.add(at + line.indexOf(key));
      }
      at += line.length + 1;
    }
  }
  // Anywhere else it may be meant as one: in a comment inside of a comment, behind a quote that is none here.
  const unclear = [...text.matchAll(MENTION)].find(({ index }) => !understood.has(index));
  return {
    requiredBefore: found['requiredBefore'],
    introducedIn: found['introducedIn'],
    unreadable: unclear && `line ${text.slice(0, unclear.index).split('\n').length}`,
  };
}
