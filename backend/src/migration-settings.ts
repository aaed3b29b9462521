import { existsSync } from 'node:fs';
import { EnvironmentError } from './environment.ts';

/** What the environment says about data migrations, checked once at the start. */
export interface MigrationSettings {
  /** Undefined: there are no migration routes. */
  readonly developerKey: string | undefined;
  readonly atStart: 'nothing' | 'look' | 'run';
  /** Why they run at the start in production. */
  readonly reason: string | undefined;
  /** While this file exists an update may still be rolled back. */
  readonly gateFile: string | undefined;
}

const SHORTEST_KEY = 24;

/**
 * Reads DEVELOPER_KEY, RUN_MIGRATIONS_ON_STARTUP, AUTO_MIGRATE and MIGRATIONS_REASON.
 *
 * @throws EnvironmentError with the one line that the operator needs; the key is never in it.
 */
export function parseMigrationSettings(variables: NodeJS.ProcessEnv): MigrationSettings {
  const look = parseSwitch('RUN_MIGRATIONS_ON_STARTUP', variables);
  const run = parseSwitch('AUTO_MIGRATE', variables);
  const reason = variables['MIGRATIONS_REASON']?.trim() || undefined;
  const gateFile = variables['HOLDFAST_GATE_FILE'] || undefined;
  const isUpdating = Boolean(variables['HOLDFAST_RUN']) || isGateClosed(gateFile);
  if (
    variables['NODE_ENV']?.trim().toLowerCase() === 'production' &&
    !isUpdating &&
    !(look && run && reason)
  ) {
    if (look || run) throw notInProduction(run ? 'AUTO_MIGRATE' : 'RUN_MIGRATIONS_ON_STARTUP');
  }
  return {
    developerKey: parseDeveloperKey(variables['DEVELOPER_KEY']),
    atStart: run ? 'run' : look ? 'look' : 'nothing',
    reason,
    gateFile,
  };
}

/** The update has not committed: whatever is written now may be taken back. */
export function isGateClosed(gateFile: string | undefined): boolean {
  return gateFile !== undefined && existsSync(gateFile);
}

function notInProduction(name: string): EnvironmentError {
  return new EnvironmentError(
    `cannot start the backend: ${name} is not for production, where the update runs the data migrations. Take it out, or set RUN_MIGRATIONS_ON_STARTUP=true and AUTO_MIGRATE=true together with MIGRATIONS_REASON="why"`,
  );
}

function parseDeveloperKey(key: string | undefined): string | undefined {
  if (key === undefined || key === '') return undefined;
  const advice = 'Set one made by: openssl rand -base64 32. Without it there are no migration routes';
  if (!/^[\x21-\x7e]+$/.test(key))
    throw new EnvironmentError(
      `cannot start the backend: DEVELOPER_KEY holds characters that no header can carry (spaces, umlauts). ${advice}`,
    );
  if (key.length < SHORTEST_KEY)
    throw new EnvironmentError(
      `cannot start the backend: DEVELOPER_KEY has fewer than ${SHORTEST_KEY} characters. ${advice}`,
    );
  return key;
}

function parseSwitch(name: string, variables: NodeJS.ProcessEnv): boolean {
  const text = variables[name] ?? '';
  if (text === 'true' || text === '1') return true;
  if (text === 'false' || text === '0' || text === '') return false;
  throw new EnvironmentError(`cannot start the backend: ${name} is "${text}". Set true or false`);
}
