import { jsonSchema } from './json-schema.ts';

// Usage: node orchestrator/config/print-json-schema.ts > orchestrator/config/appliance.schema.json
process.stdout.write(jsonSchema());
