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

interface Token {
  readonly kind: 'word' | 'text' | 'template' | 'mark';
  /** Of a text what it says. */
  readonly value: string;
  readonly line: number;
}

const LEXER =
  /(?<skip>\s+|\/\/.*|\/\*[^]*?\*\/)|(?<text>"(?:[^"\\\n]|\\[^])*"|'(?:[^'\\\n]|\\[^])*')|(?<word>[\p{ID_Start}$_#@][\p{ID_Continue}$]*|\d[\w.]*)|(?<mark>\?\.|[^])/uy;
const REGEX = /\/(?:[^/\\\n[]|\\.|\[(?:[^\]\\\n]|\\.)*\])+\/\w*/y;
/** After these a slash divides. */
const VALUE_END = /^(?:[)\]}]|[\p{ID_Continue}$]+)$/u;
const BEFORE_VALUE = /^(?:return|typeof|case|in|of|await|void|delete|throw)$/;

function tokensOf(code: string): Token[] {
  const tokens: Token[] = [];
  let line = 1;
  let at = 0;
  const take = (
    kind: Token['kind'] | undefined,
    length: number,
    value = code.slice(at, at + length),
  ): void => {
    if (kind !== undefined) tokens.push({ kind, value, line });
    line += code.slice(at, at + length).split('\n').length - 1;
    at += length;
  };
  while (at < code.length) {
    const last = tokens.at(-1);
    if (code[at] === '`') {
      take('template', lengthOfTemplate(code, at));
      continue;
    }
    LEXER.lastIndex = REGEX.lastIndex = at;
    const { skip, text, word = '' } = LEXER.exec(code)?.groups ?? {};
    const divides =
      last?.kind === 'text' ||
      last?.kind === 'template' ||
      (last !== undefined && VALUE_END.test(last.value) && !BEFORE_VALUE.test(last.value));
    const regex = code[at] === '/' && skip === undefined && !divides ? REGEX.exec(code)?.[0] : undefined;
    if (skip !== undefined) take(undefined, skip.length);
    else if (text !== undefined) take('text', text.length, unescape(text.slice(1, -1)));
    else if (regex !== undefined) take('mark', regex.length);
    else if (word !== '') take('word', word.length);
    else take('mark', code.startsWith('?.', at) ? 2 : 1);
  }
  return tokens;
}

/** With all that its `${}` hold. */
function lengthOfTemplate(code: string, from: number): number {
  let at = from + 1;
  while (at < code.length && code[at] !== '`') {
    if (code[at] === '\\') at += 2;
    else if (code.startsWith('${', at)) {
      for (let depth = 1, inside = (at += 2); at < code.length && depth > 0; inside = at) {
        if (code[inside] === '`') at += lengthOfTemplate(code, inside);
        else if (/["']/.test(code[inside] ?? '')) {
          LEXER.lastIndex = inside;
          at += LEXER.exec(code)?.[0].length ?? 1;
        } else {
          depth += code[inside] === '{' ? 1 : code[inside] === '}' ? -1 : 0;
          at += 1;
        }
      }
    } else at += 1;
  }
  return at + 1 - from;
}

function unescape(text: string): string {
  return text.replaceAll(/\\(u[\da-f]{4}|x[\da-f]{2}|[^])/gi, (_, one: string) =>
    one.length > 1 ? String.fromCharCode(Number.parseInt(one.slice(1), 16)) : one,
  );
}

/** A value in a file of code; undefined where it says that there is none, 'unreadable' where nobody can tell. */
type Value = { readonly text: string | undefined } | 'unreadable';

/** What stands at a place: a text, a constant of this file, or several of those added up. */
function readValue(tokens: readonly Token[], from: number, depth = 0): Value {
  let text = '';
  let at = from;
  for (;;) {
    let open = 0;
    for (; tokens[at]?.value === '(' && tokens[at]?.kind === 'mark'; at += 1) open += 1;
    const one = tokens[at];
    if (one === undefined) return 'unreadable';
    if (one.kind === 'text') text += one.value;
    else if (one.kind === 'template' && !one.value.includes('${')) text += unescape(one.value.slice(1, -1));
    else if (one.kind === 'word' && /^(?:undefined|null)$/.test(one.value)) return { text: undefined };
    else if (one.kind === 'word' && depth < 5) {
      const place = tokens.findIndex(
        (token, i) => token.value === 'const' && token.kind === 'word' && tokens[i + 1]?.value === one.value,
      );
      const equals = tokens.findIndex(
        (token, i) => i > place && token.kind === 'mark' && /[=;{]/.test(token.value),
      );
      if (place < 0 || tokens[equals]?.value !== '=') return 'unreadable';
      const value = readValue(tokens, equals + 1, depth + 1);
      if (value === 'unreadable' || value.text === undefined) return value;
      text += value.text;
    } else return 'unreadable';
    at += 1;
    for (; open > 0 && tokens[at]?.value === ')'; at += 1) open -= 1;
    if (tokens[at]?.value !== '+') break;
    at += 1;
  }
  const end = tokens[at];
  // What begins on a line of its own is another statement or member.
  const isEnd =
    end === undefined ||
    (end.kind === 'mark' && /[,;})]/.test(end.value)) ||
    (end.kind === 'word' && (/^(?:as|satisfies)$/.test(end.value) || end.line > (tokens[at - 1]?.line ?? 0)));
  return isEnd ? { text } : 'unreadable';
}

/** What is said under a name, at each place where something is: as a field, a member of a class, a getter, a constant. */
function readField(tokens: readonly Token[], name: string): { values: Value[]; line: number } {
  const values: Value[] = [];
  let line = 0;
  for (const [i, token] of tokens.entries()) {
    if (token.value !== name || !(token.kind === 'word' || token.kind === 'text')) continue;
    const value = readMember(tokens, i);
    if (value === undefined) continue;
    if (value === 'unreadable') line ||= token.line;
    values.push(value);
  }
  return { values, line };
}

function readMember(tokens: readonly Token[], i: number): Value | undefined {
  const isComputed = tokens[i - 1]?.value === '[' && tokens[i + 1]?.value === ']';
  let at = i + (isComputed ? 2 : 1);
  const [before, after] = [tokens[i - (isComputed ? 2 : 1)]?.value ?? '', tokens[at]?.value ?? ''];
  const isText = tokens[i]?.kind === 'text';
  if (/^\??\.$/.test(before) && after !== '=') return undefined;
  if (before === 'get' && after === '(') {
    const isPlain = tokens[at + 1]?.value === ')';
    const body = tokens.findIndex((token, place) => place > at && token.value === '{');
    return isPlain && tokens[body + 1]?.value === 'return' ? readValue(tokens, body + 2) : 'unreadable';
  }
  if (/^[?!]$/.test(after) && /^[:;]$/.test(tokens[at + 1]?.value ?? '')) at += 1;
  const mark = tokens[at]?.value;
  if (mark === '=' && tokens[at + 1]?.value !== '=') return readValue(tokens, at + 1);
  if (mark === ':') {
    // The type of a member, with its value or without.
    const isType = tokens[at + 1]?.value === 'string' && tokens[at + 1]?.kind === 'word';
    if (!isType) return readValue(tokens, at + 1);
    const next = tokens.slice(at + 2).findIndex((one) => one.kind === 'mark' && /[=;,})]/.test(one.value));
    return tokens[at + 2 + next]?.value === '=' ? readValue(tokens, at + 3 + next) : undefined;
  }
  if (isText || mark === ';') return undefined;
  // { requiredBefore }
  const isShorthand = /^[{,]$/.test(before) && /^[,}]$/.test(mark ?? '');
  return isShorthand ? readValue(tokens, i) : 'unreadable';
}

/** Reads it from the text. A comment or a text of the code is no declaration; in a file of SQL a comment is. */
export function parseRequirement(path: string, text: string): Requirement {
  if (path.endsWith('.sql')) return parseSql(text);
  const tokens = tokensOf(text);
  const required = readField(tokens, 'requiredBefore');
  const said = new Set(
    required.values.flatMap((value) => (value === 'unreadable' ? [] : (value.text ?? []))),
  );
  // Two that differ: nobody can tell which one counts.
  const line = required.line || (said.size > 1 ? 1 : 0);
  const [introduced] = readField(tokens, 'introducedIn').values.filter((value) => value !== 'unreadable');
  return {
    requiredBefore: [...said][0]?.replace(/\/(?:migration\.sql)?$/, ''),
    introducedIn: introduced?.text,
    unreadable: line === 0 ? undefined : `line ${line}`,
  };
}

const SQL = /(?<comment>--.*|\/\*[^]*?\*\/)|'(?:[^']|'')*'|"[^"]*"|\$(?<tag>\w*)\$[^]*?\$\k<tag>\$|[^]/g;

function parseSql(text: string): Requirement {
  const found = { requiredBefore: undefined, introducedIn: undefined } as Record<string, string | undefined>;
  let unreadable: string | undefined;
  for (const { groups, index } of text.matchAll(SQL))
    for (const [i, line] of (groups?.['comment'] ?? '').split('\n').entries()) {
      const [, key = ''] = /\b(requiredBefore|introducedIn)\b/i.exec(line) ?? [];
      if (key === '') continue;
      const said = new RegExp(
        `^[-/*\\s]*${key}\\s*[:=]\\s*(['"]?)([^\\s'"]+?)\\1[.;]?\\s*(?:\\*/)?\\s*$`,
      ).exec(line)?.[2];
      const name = /^r/i.test(key) ? 'requiredBefore' : 'introducedIn';
      found[name] ??= said;
      if (said === undefined && name === 'requiredBefore')
        unreadable ??= `line ${text.slice(0, index).split('\n').length + i}`;
    }
  return { requiredBefore: found['requiredBefore'], introducedIn: found['introducedIn'], unreadable };
}
