import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { programFile, type Appliance } from '../appliance/appliance.ts';
import { readApplianceEnvironment } from '../config/environment.ts';
import type { Config } from '../config/schema.ts';
import { hidePassword } from '../database/connection.ts';
import { exitCodes, HoldfastError, messageOf } from '../lib/errors.ts';
import { CommandError, type Command, type CommandResult, type RunOptions } from '../runtime/runtime.ts';
import { explainPrismaCode } from './state.ts';

/** Prisma's engine comes with us, so that no machine downloads one and all use the same. */
export function toolEnvironment(appliance: Pick<Appliance, 'program' | 'runtime'>): Record<string, string> {
  const { node } = appliance.runtime;
  return {
    ...(node === undefined ? {} : { HOLDFAST_ENGINE_NODE: node }),
    PRISMA_SCHEMA_ENGINE_BINARY: programFile(appliance.program, 'schema-engine'),
    PRISMA_HIDE_UPDATE_MESSAGE: '1',
    CHECKPOINT_DISABLE: '1',
    // Its configuration's loader would keep a copy in the live node_modules.
    JITI_FS_CACHE: 'false',
  };
}

/**
 * Runs Prisma, and says what its error codes mean.
 *
 * @throws HoldfastError with Prisma's words and the command that helps; the error as it is where it has no code
 */
export async function runPrisma(
  { runtime }: Pick<Appliance, 'runtime'>,
  command: Command,
  options: RunOptions = {},
): Promise<CommandResult> {
  try {
    return await runtime.run(command, options);
  } catch (error) {
    const code =
      error instanceof CommandError ? /\bP\d{4}\b/.exec(`${error.stderr}${error.message}`)?.[0] : undefined;
    const explained = code === undefined ? undefined : explainPrismaCode(code);
    if (!explained) throw error;
    throw new HoldfastError(`${code}: ${explained.meaning}\n${messageOf(error)}`, {
      ...{ exitCode: exitCodes.refused, next: explained.next, cause: error },
    });
  }
}

/**
 * A call of the backend's own Prisma, with our engine.
 *
 * @param environment how the database is reached; the password does not go into the URL, which Prisma hands to its
 *   engine as an argument
 */
export function prismaCli(
  appliance: Pick<Appliance, 'program' | 'directory' | 'node' | 'secrets' | 'runtime'>,
  config: Config,
  args: readonly string[],
  environment: Readonly<Record<string, string>>,
): Command {
  const cwd = join(appliance.directory, config.prisma?.dir ?? '.');
  const program = join(cwd, 'node_modules', '.bin', 'prisma');
  const file = existsSync(program) ? program : 'prisma';
  return {
    ...{ inside: 'backend', file, args, cwd, label: ['prisma', ...args].join(' ') },
    env: {
      ...appliance.runtime.environment(appliance.node),
      ...toolEnvironment(appliance),
      ...readApplianceEnvironment(config, appliance.directory, appliance.secrets),
      ...environment,
      ...hidePassword(environment),
    },
    ...(config.prisma && { timeoutMs: config.prisma.timeout }),
  };
}
