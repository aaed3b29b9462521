import { parseConfig } from '../../../orchestrator/config/parse.ts';
import { least } from './an-appliance.ts';

/** The problems of a configuration as `path: message`, in their order. */
export function problemsOf(raw: unknown): string[] {
  const parsed = parseConfig(raw);
  return parsed.ok ? [] : parsed.problems.map(({ path, message }) => `${path}: ${message}`);
}

/** The least configuration with this as its service "api". */
export const withService = (service: unknown) => ({ ...least, services: { api: service } });
