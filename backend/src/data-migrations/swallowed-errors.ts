import type { AnyNode, CallExpression, Program } from 'acorn';
import { chainOf, mentions, methodOf } from './syntax.ts';

/** A failure that is printed and forgotten ends with exit 0, and would be taken for a success. */
export function findScriptProblems(
  name: string,
  text: string,
  calls: readonly CallExpression[],
  program: Program,
): string[] {
  const swallowing = calls.flatMap(chainOf).find((call) => {
    const method = methodOf(call);
    if (method === 'catch') return swallowsError(resolve(call.arguments[0], program));
    return (
      method === 'then' && call.arguments.length > 1 && swallowsError(resolve(call.arguments[1], program))
    );
  });
  if (swallowing === undefined) return [];
  const at = text.slice(0, text.search(/\.\s*(?:catch|then)\s*\(/)).split('\n').length;
  return [
    `${name}:${at}: a failure would end with exit 0: its handler only prints it. Write .catch((error) => { console.error(error); process.exit(1); })`,
  ];
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
  // Whatever ends the process, marks it as failed, or calls on: only what surely does none of it is refused.
  return !mentions(handler.body, (node) => {
    if (node.type === 'ThrowStatement') return true;
    if (node.type === 'Identifier') return node.name === 'process' || node.name === 'Deno';
    if (node.type !== 'CallExpression') return false;
    const { callee } = node;
    return !(callee.type === 'MemberExpression' && (isConsole(callee.object) || isDisconnect(callee)));
  });
}

function isConsole(node: AnyNode): boolean {
  return node.type === 'Identifier' && /^(?:console|logger|log)$/.test(node.name);
}

function isDisconnect({ property }: { property: AnyNode }): boolean {
  return property.type === 'Identifier' && property.name === '$disconnect';
}
