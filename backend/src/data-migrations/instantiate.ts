import type { Pattern } from 'acorn';

export type Class = new (...args: unknown[]) => object;

/** What there is to hand in. There is no container here that would know of other services. */
export interface Services {
  readonly prisma: unknown;
  readonly logger: unknown;
  /** Under all of their names. */
  readonly context: unknown;
}

const LOGGER = /log/i;
const CLIENT = /prisma|client|database|^db$|^tx$/i;

/**
 * Makes an object of a class, and hands in what its constructor asks for: by the names of its parameters a logger, or the
 * Prisma client otherwise; an object of all for one that takes it apart. A parameter with a default keeps that, unless its
 * name says that it is one of the two.
 */
export async function instantiate(of: Class, services: Services): Promise<object> {
  const parameters = await readParameters(of);
  return new of(...parameters.map((one) => choose(one, services)));
}

function choose(parameter: Pattern, { prisma, logger, context }: Services): unknown {
  switch (parameter.type) {
    case 'Identifier':
      return LOGGER.test(parameter.name) ? logger : prisma;
    case 'ObjectPattern':
      return context;
    case 'AssignmentPattern': {
      const { left } = parameter;
      if (left.type === 'ObjectPattern') return context;
      const name = left.type === 'Identifier' ? left.name : '';
      return LOGGER.test(name) ? logger : CLIENT.test(name) ? prisma : undefined;
    }
    default:
      return undefined;
  }
}

/** Those of its constructor, or of the next one above it that has one. */
async function readParameters(of: Class): Promise<Pattern[]> {
  const { parse } = await import('acorn');
  for (let one: unknown = of; typeof one === 'function'; one = Object.getPrototypeOf(one)) {
    const source = Function.prototype.toString.call(one);
    if (!source.startsWith('class')) return [];
    const [statement] = parse(`(${source})`, { ecmaVersion: 'latest' }).body;
    if (statement?.type !== 'ExpressionStatement' || statement.expression.type !== 'ClassExpression')
      return [];
    for (const member of statement.expression.body.body)
      if (member.type === 'MethodDefinition' && member.kind === 'constructor')
        return member.value.params.filter(({ type }) => type !== 'RestElement');
  }
  return [];
}
