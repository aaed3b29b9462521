import type { AnyNode, CallExpression, Program } from 'acorn';
import { chainOf, mentions, methodOf } from './syntax.ts';

/*
 * A failure that is printed and forgotten ends with exit 0, and would be taken for a success. What can be seen in the
 * text is refused before anything runs; the script's guard sees the rest while it runs.
 */

const PRINTED =
  'its handler only prints it. Write .catch((error) => { console.error(error); process.exit(1); })';
const ENDED =
  'its finally() ends the process first. Write .catch((error) => { console.error(error); process.exitCode = 1; }) before it, and no process.exit() in it';

/** @returns what would hide a failure, with its line */
export function findScriptProblems(
  name: string,
  text: string,
  calls: readonly CallExpression[],
  program: Program,
): string[] {
  for (const chain of calls.map(chainOf)) {
    const swallowing = chain.find((call) => isSwallowing(call, program));
    if (swallowing !== undefined) return [describe(name, text, /\.\s*(?:catch|then)\s*\(/, PRINTED)];
    // Outermost first: what comes after it in the list was called before it.
    const ending = chain.findIndex(
      (call) => methodOf(call) === 'finally' && exits(resolve(call.arguments[0], program)) !== undefined,
    );
    if (ending < 0) continue;
    const code = exits(resolve(chain[ending]?.arguments[0], program));
    const isCaught = chain
      .slice(ending + 1)
      .some((call) => handlersOf(call, program).some((handler) => endsBadly(handler, code === 'as it is')));
    if (!isCaught) return [describe(name, text, /\.\s*finally\s*\(/, ENDED)];
  }
  return [];
}

function describe(name: string, text: string, place: RegExp, what: string): string {
  const line = text.slice(0, text.search(place)).split('\n').length;
  return `${name}:${line}: a failure would end with exit 0: ${what}`;
}

/** What is called with the error of a promise. */
function handlersOf(call: CallExpression, program: Program): (AnyNode | undefined)[] {
  const method = methodOf(call);
  if (method === 'catch') return [resolve(call.arguments[0], program)];
  return method === 'then' && call.arguments.length > 1 ? [resolve(call.arguments[1], program)] : [];
}

function isSwallowing(call: CallExpression, program: Program): boolean {
  return handlersOf(call, program).some(swallowsError);
}

/** The function of this file that a name stands for, or what it was. */
function resolve(handler: AnyNode | undefined, { body }: Program): AnyNode | undefined {
  if (handler?.type !== 'Identifier') return handler;
  for (const node of body) {
    if (node.type === 'FunctionDeclaration' && node.id?.name === handler.name) return node;
    if (node.type !== 'VariableDeclaration') continue;
    for (const { id, init } of node.declarations)
      if (id.type === 'Identifier' && id.name === handler.name) return init ?? handler;
  }
  return handler;
}

function swallowsError(handler: AnyNode | undefined): boolean {
  if (handler === undefined) return true;
  if (handler.type === 'MemberExpression') return isConsole(handler.object);
  const isFunction =
    handler.type === 'ArrowFunctionExpression' ||
    handler.type === 'FunctionExpression' ||
    handler.type === 'FunctionDeclaration';
  if (!isFunction) return false;
  if (exits(handler) === 'with 0' && !marksAsFailed(handler.body)) return true;
  // Whatever ends the process, marks it as failed, or calls on: only what surely does none of it is refused.
  return !mentions(handler.body, (node) => {
    if (node.type === 'ThrowStatement') return true;
    if (node.type === 'AssignmentExpression') return isOf(node.left, 'process');
    if (node.type !== 'CallExpression') return false;
    const { callee } = node;
    if (isExit(node)) return exitCodeOf(node) === 'another';
    return !(callee.type === 'MemberExpression' && (isConsole(callee.object) || isDisconnect(callee)));
  });
}

/** How a function ends the process, where it does by process.exit(); undefined where it does not. */
function exits(handler: AnyNode | undefined): 'with 0' | 'as it is' | undefined {
  let found: 'with 0' | 'as it is' | undefined;
  mentions(handler, (node) => {
    if (node.type === 'CallExpression' && isExit(node)) {
      const code = exitCodeOf(node);
      if (code !== 'another') found = code;
    }
    return found !== undefined;
  });
  return found;
}

/** True for a handler after which the process fails, even if a finally() ends it. @param isKept it does not say 0 then */
function endsBadly(handler: AnyNode | undefined, isKept: boolean): boolean {
  return mentions(
    handler,
    (node) =>
      (node.type === 'CallExpression' && isExit(node) && exitCodeOf(node) === 'another') ||
      (isKept && node.type === 'AssignmentExpression' && isOf(node.left, 'process')),
  );
}

function marksAsFailed(body: AnyNode): boolean {
  return mentions(body, (node) => node.type === 'AssignmentExpression' && isOf(node.left, 'process'));
}

function exitCodeOf({ arguments: [code] }: CallExpression): 'with 0' | 'as it is' | 'another' {
  if (code === undefined) return 'as it is';
  return code.type === 'Literal' && code.value === 0 ? 'with 0' : 'another';
}

function isExit({ callee }: CallExpression): boolean {
  return (
    isOf(callee, 'process') &&
    callee.type === 'MemberExpression' &&
    callee.property.type === 'Identifier' &&
    callee.property.name === 'exit'
  );
}

/** True for `name.something`. */
function isOf(node: AnyNode, name: string): boolean {
  return node.type === 'MemberExpression' && node.object.type === 'Identifier' && node.object.name === name;
}

function isConsole(node: AnyNode): boolean {
  return node.type === 'Identifier' && /^(?:console|logger|log)$/.test(node.name);
}

function isDisconnect({ property }: { property: AnyNode }): boolean {
  return property.type === 'Identifier' && property.name === '$disconnect';
}
