import { messageOf } from '../../lib/errors.ts';
import type { EngineArguments } from './arguments.ts';
import { knownCodeOf } from './errors.ts';
import { errorTarget, log } from './log.ts';
import { targetOf } from './target.ts';

export type CliCommand = Exclude<EngineArguments['command'], 'serve' | 'version'>;

/**
 * Runs `engine cli <command>` and returns the exit code, 0 or 1. All it says is in the log lines on stderr; the CLI
 * drops the first of them and reads code and message from the ERROR.
 *
 * Source: `can-connect-to-database` in prisma 7.10.0's `build/cli.js`; `commands.rs` of prisma-engines.
 */
export async function runCliCommand(command: CliCommand, url: string | undefined): Promise<number> {
  log('INFO', 'Starting schema engine CLI');
  try {
    if (url === undefined)
      throw new Error('The datasource.url property is required in your Prisma config file.');
    log('INFO', await execute(command, url));
    return 0;
  } catch (error) {
    const code = knownCodeOf(error);
    const fields = { is_panic: false, ...(code === undefined ? {} : { error_code: code }) };
    log('ERROR', messageOf(error), fields, errorTarget);
    return 1;
  }
}

async function execute(command: CliCommand, url: string): Promise<string> {
  const target = targetOf(url);
  if (command === 'can-connect-to-database') {
    await target.check();
    return 'Connection successful';
  }
  if (command === 'create-database') {
    return `Database '${await target.create()}' was successfully created.`;
  }
  await target.drop();
  return 'The database was successfully dropped.';
}
