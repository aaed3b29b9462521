import { readFile, realpath } from 'node:fs/promises';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { parse, type AnyNode, type CallExpression, type Program } from 'acorn';
import { transform, type Loader } from 'esbuild';
import { checksumOf } from './checksum.ts';
import { findDirection, type Direction } from './direction.ts';
import { describeError } from './refusal.ts';
import { isSqlite } from './database-url.ts';
import { findSqlProblem } from './sql-file.ts';
import { findSqliteProblem } from './sqlite/statements.ts';
import { findScriptProblems } from './swallowed-errors.ts';
import { chainOf, mentions } from './syntax.ts';

/** How a file is to be run. Found out by reading it: a script must not be imported only to look at it. */
export type Format =
  /** It exports an object or a class, and does nothing by being imported. */
  | 'module'
  /** It works by being run, with a client of its own. */
  | 'script'
  | 'sql';

export interface Inspection {
  readonly format: Format;
  /** SHA-256 of the text, line endings aside. */
  readonly checksum: string;
  /** For a script: the words by which it is asked for `up` or `down`. */
  readonly direction: Direction | undefined;
  /** For a script: it looks at something before it calls what it is for, as `require.main === module`. */
  readonly isGuarded: boolean;
  readonly problems: readonly string[];
}

const NO_ARGUMENTS = { direction: undefined, isGuarded: false };

/** Reads a migration's file and says how it is to be run, and what is wrong with it. Nothing of it is executed. */
export async function inspectFile(file: string, url: string): Promise<Inspection> {
  const name = path.basename(file);
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    return broken('', `${name}: it cannot be read: ${describeError(error)}`);
  }
  const checksum = checksumOf(text);
  if (name.endsWith('.sql')) {
    const problem = isSqlite(url) ? findSqliteProblem(text) : findSqlProblem(text);
    const problems = problem === undefined ? [] : [`${name}: ${problem}`];
    return { format: 'sql', checksum, ...NO_ARGUMENTS, problems };
  }
  let program: Program;
  try {
    const { code } = await transform(text, {
      loader: loaderFor(name),
      sourcefile: name,
      logLevel: 'silent',
      target: 'esnext',
      tsconfigRaw: { compilerOptions: { experimentalDecorators: true } },
    });
    program = parse(code, { ecmaVersion: 'latest', sourceType: 'module', allowReturnOutsideFunction: true });
  } catch (error) {
    return broken(checksum, describeSyntaxError(name, error));
  }
  const guarded = program.body.flatMap(callsInGuard);
  const calls = program.body.flatMap(callAtTopLevel).filter((call) => !isNamespace(call));
  const isModule = exportsSomething(program);
  const work = calls.filter((call) => startsWork(call, program));
  const isScript = work.length > 0 || !isModule;
  // Run as a script it would end with exit 0 without its up(): that is no success.
  const isPlain = (call: CallExpression): boolean => chainOf(call).length === 1 && !isAwaited(call, program);
  if (isModule && work.length > 0 && work.every((call) => isPlain(call) && !isAsync(call, program)))
    return broken(
      checksum,
      `${name}: it exports a migration, and calls a function of its own when it is loaded, so nobody can tell whether it is a script: move that call into up(), or put "await" before it where it is the migration`,
    );
  if (!isScript) return { format: 'module', checksum, ...NO_ARGUMENTS, problems: [] };
  if (!isModule && calls.length + guarded.length === 0 && !hasLooseWork(program))
    return broken(checksum, `${name}: it does not export "migration"; see template.ts`);
  return {
    format: 'script',
    checksum,
    direction: findDirection(program),
    isGuarded: guarded.length > 0 && calls.length === 0,
    problems: [
      ...findScriptProblems(name, text, [...calls, ...guarded], program),
      ...(await findFalseGuard(name, file, text)),
    ],
  };
}

function broken(checksum: string, problem: string): Inspection {
  return { format: 'module', checksum, ...NO_ARGUMENTS, problems: [problem] };
}

function loaderFor(name: string): Loader {
  return /\.[cm]?ts$/.test(name) ? 'ts' : 'js';
}

function describeSyntaxError(name: string, error: unknown): string {
  const [first] = (error as { errors?: { text: string; location?: { line: number } }[] }).errors ?? [];
  if (first === undefined) return `${name}: it does not load: ${describeError(error)}`;
  const line = first.location === undefined ? '' : `:${first.location.line}`;
  return `${name}${line}: it does not load: ${first.text}`;
}

/** A script's path and its URL are not the same text where the path holds what a URL escapes. */
const GUARD_BY_TEXT = /`file:\/\/\$\{\s*process\.argv\[1\]\s*\}`|(['"])file:\/\/\1\s*\+\s*process\.argv\[1\]/;

async function findFalseGuard(name: string, file: string, text: string): Promise<string[]> {
  const at = text.search(GUARD_BY_TEXT);
  const real = await realpath(file);
  if (at < 0 || pathToFileURL(real).href === `file://${real}`) return [];
  const line = text.slice(0, at).split('\n').length;
  return [
    `${name}:${line}: it looks whether it is run by a comparison that is never true for a path like ${path.dirname(real)} (blanks and such are escaped in import.meta.url). Write import.meta.url === pathToFileURL(process.argv[1]).href`,
  ];
}

/** The call that a statement of the file's top level is: `main()`, `await main()`, `main().catch(...)`. */
function callAtTopLevel(node: AnyNode): CallExpression[] {
  if (node.type !== 'ExpressionStatement') return [];
  let { expression } = node;
  if (expression.type === 'UnaryExpression') expression = expression.argument;
  if (expression.type === 'AwaitExpression') expression = expression.argument;
  return expression.type === 'CallExpression' ? [expression] : [];
}

/** The same in `if (require.main === module) { main(); }`: true for a script that is run, false when it is imported. */
function callsInGuard(node: AnyNode): CallExpression[] {
  if (node.type !== 'IfStatement') return [];
  const { consequent } = node;
  return (consequent.type === 'BlockStatement' ? consequent.body : [consequent]).flatMap(callAtTopLevel);
}

/** Statements that do something although they are no plain call: a loop, a try, `const x = await ...`. */
function hasLooseWork(program: Program): boolean {
  return program.body.some(
    (node) =>
      /^(?:For|While|Do|Try|Switch|Block)/.test(node.type) ||
      (node.type === 'VariableDeclaration' && mentions(node, ({ type }) => type === 'AwaitExpression')),
  );
}

/** What esbuild makes of a TypeScript namespace: `((Names2) => { ... })(Names || (Names = {}))`. */
function isNamespace({ callee, arguments: [first] }: CallExpression): boolean {
  return callee.type === 'ArrowFunctionExpression' && first?.type === 'LogicalExpression';
}

/** True for a call of a function that the file itself declares, or writes down in place. */
function startsWork(call: CallExpression, program: Program): boolean {
  const first = chainOf(call).at(-1);
  if (first === undefined) return false;
  const { callee } = first;
  if (callee.type === 'FunctionExpression' || callee.type === 'ArrowFunctionExpression') return true;
  return callee.type === 'Identifier' && declaredFunctions(program).has(callee.name);
}

function declaredFunctions(program: Program): ReadonlySet<string> {
  const names = program.body.flatMap((node) => {
    const declared = node.type === 'ExportNamedDeclaration' ? node.declaration : node;
    if (declared?.type === 'FunctionDeclaration') return declared.id ? [declared.id.name] : [];
    if (declared?.type !== 'VariableDeclaration') return [];
    return declared.declarations.flatMap(({ id, init }) =>
      id.type === 'Identifier' &&
      (init?.type === 'ArrowFunctionExpression' || init?.type === 'FunctionExpression')
        ? [id.name]
        : [],
    );
  });
  // What esbuild itself puts there for decorators and names.
  return new Set(names.filter((name) => !name.startsWith('__')));
}

/** True for `await main()` at the top level. */
function isAwaited(call: CallExpression, { body }: Program): boolean {
  return body.some(
    (node) =>
      node.type === 'ExpressionStatement' &&
      node.expression.type === 'AwaitExpression' &&
      node.expression.argument === call,
  );
}

/** True for a call of an async function that is written down in this file. */
function isAsync({ callee }: CallExpression, program: Program): boolean {
  if (callee.type === 'FunctionExpression' || callee.type === 'ArrowFunctionExpression') return callee.async;
  const name = callee.type === 'Identifier' ? callee.name : '';
  return mentions(program.body, (node) => {
    if (node.type === 'FunctionDeclaration') return node.async && node.id?.name === name;
    if (node.type !== 'VariableDeclarator' || node.id.type !== 'Identifier' || node.id.name !== name)
      return false;
    return (
      (node.init?.type === 'ArrowFunctionExpression' || node.init?.type === 'FunctionExpression') &&
      node.init.async
    );
  });
}

function exportsSomething(program: Program): boolean {
  return program.body.some(
    (node) =>
      node.type.startsWith('Export') ||
      (node.type === 'ExpressionStatement' && assignsExports(node.expression)),
  );
}

function assignsExports(expression: AnyNode): boolean {
  if (expression.type !== 'AssignmentExpression' || expression.left.type !== 'MemberExpression') return false;
  let { object }: { object: AnyNode } = expression.left;
  if (object.type === 'MemberExpression') object = object.object;
  return object.type === 'Identifier' && (object.name === 'exports' || object.name === 'module');
}
