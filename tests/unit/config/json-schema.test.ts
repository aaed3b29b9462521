import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { jsonSchema } from '../../../orchestrator/config/json-schema.ts';

const home = resolve(import.meta.dirname, '../../..');

/** As much of JSON Schema as says which keys there may and must be. */
interface Schema {
  readonly properties?: Record<string, Schema>;
  readonly required?: readonly string[];
  readonly additionalProperties?: Schema | boolean;
  readonly anyOf?: readonly Schema[];
  readonly items?: Schema;
  readonly type?: string | readonly string[];
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly pattern?: string;
}

const isOfType = ({ type }: Schema, name: string): boolean =>
  type === undefined || [type].flat().includes(name);

/** Whether an editor that follows the schema would leave the value unmarked. */
function accepts(schema: Schema, value: unknown): boolean {
  if (schema.anyOf && !schema.anyOf.some((branch) => accepts(branch, value))) return false;
  if ('const' in schema && schema.const !== value) return false;
  if (schema.enum && !schema.enum.includes(value)) return false;
  if (Array.isArray(value)) {
    const { items } = schema;
    return schema.type === 'array'
      ? !items || value.every((item) => accepts(items, item))
      : schema.type === undefined;
  }
  if (typeof value !== 'object' || value === null) {
    if (
      schema.pattern !== undefined &&
      !(typeof value === 'string' && new RegExp(schema.pattern).test(value))
    )
      return false;
    return (
      isOfType(schema, Number.isInteger(value) ? 'integer' : typeof value) || isOfType(schema, typeof value)
    );
  }
  if (!isOfType(schema, 'object')) return false;
  const own = value as Record<string, unknown>;
  if (schema.required?.some((key) => !(key in own))) return false;
  return Object.entries(own).every(([key, inner]) => {
    const found = schema.properties?.[key] ?? schema.additionalProperties ?? true;
    return typeof found === 'boolean' ? found : accepts(found, inner);
  });
}

const schema = JSON.parse(jsonSchema()) as Schema;
const appliance = parse(readFileSync(join(home, 'appliance.yaml'), 'utf8')) as Record<string, unknown>;

test('the schema for editors is the one that checks', () => {
  const committed = readFileSync(join(home, 'orchestrator/config/appliance.schema.json'), 'utf8');
  expect(JSON.parse(committed)).toEqual(schema);
});

test('the schema for editors takes the reference appliance', () => {
  expect(accepts(schema, appliance)).toBe(true);
});

test.each([
  ['an unknown key', { servces: {} }],
  ['a duration without a unit', { services: { a: { start: 'x', stop: { timeout: '30' } } } }],
  ['another version', { version: 2 }],
  ['a port that is text', { services: { a: { start: 'x', port: '80' } } }],
  ['a variable that is a mapping', { env: { set: { A: {} } } }],
])('the schema for editors marks %s', (_what, more) => {
  expect(accepts(schema, { ...appliance, ...more })).toBe(false);
});
