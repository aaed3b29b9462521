import { z } from 'zod';
import { applianceSchema } from './schema.ts';

/** The JSON Schema of appliance.yaml for editors, from the very schema that checks it. */
export function jsonSchema(): string {
  const schema = z.toJSONSchema(applianceSchema, { io: 'input', unrepresentable: 'any' });
  return `${JSON.stringify({ ...schema, title: 'Holdfast appliance' }, null, 2)}\n`;
}
