import type { Config } from '../config/schema.ts';

/** Where an appliance's services answer, for people. */
export function addresses(config: Config): string[] {
  return Object.values(config.services).flatMap((service) =>
    service.port === undefined ? [] : [`http://127.0.0.1:${service.port}`],
  );
}
