import { parse } from '@babel/parser';
import type { Node } from '@babel/types';
import {
  constantsIn,
  isKey,
  isNamed,
  placesIn,
  readValue,
  type Constants,
  type Value,
} from './code-values.ts';
import { findElsewhere } from './requirement-elsewhere.ts';
import type { Requirement } from './requirement.ts';

interface Declared {
  readonly value: Value;
  readonly line: number;
}

/** Reads what a script declares, in TypeScript or JavaScript, from its syntax tree. Never throws. */
export function parseCode(path: string, text: string): Requirement {
  let program: Node;
  try {
    const isTyped = /\.[cm]?ts$/.test(path);
    ({ program } = parse(text, {
      sourceType: path.endsWith('.cjs') ? 'script' : 'module',
      allowReturnOutsideFunction: true,
      errorRecovery: true,
      plugins: isTyped ? ['typescript', 'decorators-legacy'] : ['decorators-legacy'],
    }));
  } catch (error) {
    const { line = 1 } = (error as { loc?: { line?: number } }).loc ?? {};
    const unreadable = text.includes('requiredBefore') ? `line ${line}` : undefined;
    return { requiredBefore: undefined, introducedIn: undefined, unreadable };
  }
  const places = placesIn(program);
  const constants = constantsIn(places);
  const declared = (name: string) =>
    places.flatMap(({ node }) => readDeclaration(node, name, constants) ?? []);
  const required = declared('requiredBefore');
  const [first] = texts(required);
  const unclear =
    required.find(({ value }) => value === 'unreadable')?.line ??
    // Two that differ: nobody can tell which one counts.
    required.find(({ value }) => value !== 'unreadable' && value.text !== undefined && value.text !== first)
      ?.line ??
    findElsewhere(places, 'requiredBefore', constants)?.loc?.start.line;
  return {
    requiredBefore: first?.replace(/\/(?:migration\.sql)?$/, ''),
    introducedIn: texts(declared('introducedIn'))[0],
    unreadable: unclear === undefined ? undefined : `line ${unclear}`,
  };
}

const texts = (declared: readonly Declared[]) =>
  declared.flatMap(({ value }) => (value === 'unreadable' ? [] : (value.text ?? [])));

/** What a node says under a name: as a property, a member of a class, a getter, a variable, an assignment, an export. */
function readDeclaration(node: Node, name: string, constants: Constants): Declared | undefined {
  const value = readNamed(node, name, constants);
  return value && { value, line: node.loc?.start.line ?? 1 };
}

function readNamed(node: Node, name: string, constants: Constants): Value | undefined {
  const read = (value: Node | null | undefined) => readValue(value, constants);
  switch (node.type) {
    case 'ObjectProperty':
      return isKey(node, name, constants) ? read(node.value) : undefined;
    case 'ClassProperty':
    case 'ClassAccessorProperty':
      // Without a value it is a type.
      return isKey(node, name, constants) && node.value ? read(node.value) : undefined;
    case 'ObjectMethod':
    case 'ClassMethod': {
      if (!isKey(node, name, constants) || node.kind === 'set') return undefined;
      const [only, ...more] = node.body.body;
      const isPlain = node.kind === 'get' && only?.type === 'ReturnStatement' && more.length === 0;
      return isPlain ? read(only.argument) : 'unreadable';
    }
    case 'TSParameterProperty':
      if (node.parameter.type === 'Identifier')
        return node.parameter.name === name ? 'unreadable' : undefined;
      return isNamed(node.parameter.left, name) ? read(node.parameter.right) : undefined;
    case 'VariableDeclarator':
      return isNamed(node.id, name) && node.init ? read(node.init) : undefined;
    case 'AssignmentExpression': {
      const { left, operator, right } = node;
      const isTarget =
        isNamed(left, name) ||
        (left.type === 'MemberExpression' &&
          isKey({ key: left.property, computed: left.computed }, name, constants));
      if (!isTarget) return undefined;
      return operator === '=' ? read(right) : 'unreadable';
    }
    case 'ExportSpecifier': {
      const { exported, local } = node;
      if (!isNamed(exported, name)) return undefined;
      // Its own declaration says what it is; an import, or a function, does not.
      return isNamed(local, name) && constants.has(name) ? undefined : read(local);
    }
    case 'FunctionDeclaration':
      return node.id && isNamed(node.id, name) ? 'unreadable' : undefined;
    default:
      return undefined;
  }
}
