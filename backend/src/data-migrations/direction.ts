import type { AnyNode, Program } from 'acorn';
import { mentions } from './syntax.ts';

/** How a script is asked for `up` or `down`; undefined for one that takes no argument of that kind. */
export interface Direction {
  readonly up: string;
  /** undefined where it knows of none. */
  readonly down: string | undefined;
}

/** What takes a command line apart, besides `process.argv`. */
const PARSERS = ['parseArgs', 'minimist', 'yargs', 'mri', 'arg'];

/**
 * Reads from a script which words it takes: `up` where it compares an argument with that text, or picks a function by it
 * from an object with such keys; `--up` where it looks for that, or has it among the options of `parseArgs`.
 */
export function findDirection(program: Program): Direction | undefined {
  if (!mentions(program, takesArguments)) return undefined;
  const words = new Set<string>();
  // Keys count where something is picked by a name that comes from elsewhere: `actions[argument]`.
  const picks = mentions(
    program,
    (node) => node.type === 'MemberExpression' && node.computed && node.property.type !== 'Literal',
  );
  mentions(program, (node) => {
    for (const word of wordsOf(node, picks)) words.add(word);
    return false;
  });
  const find = (word: string): string | undefined =>
    [...words].find((one) => one.replace(/^-+/, '').toLowerCase() === word);
  const [up, down] = [find('up'), find('down')];
  // One that only looks for "down" does its up() with any other word.
  return up === undefined && down === undefined ? undefined : { up: up ?? 'up', down };
}

/** `process.argv` but for its first two, `argv` of node:process, or a parser of the command line. */
function takesArguments(node: AnyNode): boolean {
  if (node.type === 'CallExpression' && node.callee.type === 'Identifier')
    return PARSERS.includes(node.callee.name);
  if (node.type === 'MemberExpression' && isArgv(node.object))
    return !(node.property.type === 'Literal' && (node.property.value === 0 || node.property.value === 1));
  // Taken apart, or handed on as it is.
  if (node.type === 'VariableDeclarator') return isArgv(node.init);
  return node.type === 'CallExpression' && node.arguments.some((one) => isArgv(one));
}

function isArgv(node: AnyNode | null | undefined): boolean {
  if (node?.type === 'Identifier') return node.name === 'argv';
  return (
    node?.type === 'MemberExpression' && node.property.type === 'Identifier' && node.property.name === 'argv'
  );
}

const WORD = /^-{0,2}(?:up|down)$/i;

function wordsOf(node: AnyNode, picks: boolean): string[] {
  if (node.type === 'Literal' && typeof node.value === 'string') return node.value.match(WORD) ?? [];
  if (node.type === 'TemplateElement') return (node.value.cooked ?? '').match(WORD) ?? [];
  if (node.type !== 'Property' || node.key.type !== 'Identifier' || node.computed) return [];
  const [name] = node.key.name.match(WORD) ?? [];
  if (name === undefined) return [];
  // `parseArgs({ options: { up: { type: 'boolean' } } })`
  const isOption =
    node.value.type === 'ObjectExpression' &&
    node.value.properties.some(
      (one) => one.type === 'Property' && one.key.type === 'Identifier' && one.key.name === 'type',
    );
  if (isOption) return [`--${name}`];
  return picks ? [name] : [];
}
