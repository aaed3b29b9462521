import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command, CommanderError } from 'commander';
import type { Program } from './appliance/appliance.ts';
import { registerBackup } from './commands/backup.ts';
import { registerBench } from './commands/bench.ts';
import { registerContainers } from './commands/containers.ts';
import { registerConfig } from './commands/config.ts';
import { registerData } from './commands/data.ts';
import { registerDb } from './commands/db.ts';
import { registerDemo } from './commands/demo.ts';
import { registerDoctor } from './commands/doctor.ts';
import { registerHelp } from './commands/help.ts';
import { registerLogs } from './commands/logs.ts';
import { registerMigrate } from './commands/migrate.ts';
import { registerRecover } from './commands/recover.ts';
import { registerRehearse } from './commands/rehearse.ts';
import { registerRollback } from './commands/rollback.ts';
import { registerServices } from './commands/services.ts';
import { registerSetup } from './commands/setup.ts';
import { openSession, type GlobalOptions, type Session } from './commands/session.ts';
import { registerStatus } from './commands/status.ts';
import { registerTest } from './commands/test.ts';
import { registerUpdate } from './commands/update.ts';
import { HandedOver } from './commands/recovering.ts';
import { ConfigurationError } from './config/load.ts';
import { exitCodes, HoldfastError, messageOf } from './lib/errors.ts';
import { doorFor } from './ui/door.ts';
import { describeError } from './ui/errors.ts';

/** Registers a command: `action` gets the session and resolves to the exit code. */
export type Register = (program: Command, act: Act) => void;
export type Act = <A extends unknown[]>(
  action: (session: Session, ...args: A) => Promise<number>,
) => (...args: A) => Promise<void>;

const home = process.env['HOLDFAST_HOME'] ?? dirname(dirname(fileURLToPath(import.meta.url)));

function readVersion(): string {
  try {
    return (JSON.parse(readFileSync(join(home, 'package.json'), 'utf8')) as { version: string }).version;
  } catch {
    return 'unknown';
  }
}

const program: Program = {
  version: readVersion(),
  home,
  runner: dirname(fileURLToPath(import.meta.url)),
  node: process.execPath,
};

async function main(argv: readonly string[]): Promise<number> {
  const door = doorFor(process.env['HOLDFAST_DOOR'], undefined);
  const command = new Command('run.sh')
    .description('Updates this appliance as a whole, or leaves it exactly as it was.')
    .version(program.version, '-V, --version')
    .option('--appliance <path>', 'the checkout, or its appliance.yaml, if it is not this folder')
    .option('--json', 'one JSON object a line; the last one is the result')
    .option('-y, --yes', 'do not ask')
    .option('--verbose', 'show causes and stack traces')
    .option('--no-color', 'plain text')
    .showHelpAfterError(`(${door} help lists the commands)`)
    .configureHelp({ sortSubcommands: false, showGlobalOptions: true })
    .exitOverride();
  let exitCode: number = exitCodes.ok;
  const act: Act =
    (action) =>
    async (...args) => {
      const own = args.find((arg): arg is never => arg instanceof Command) as Command | undefined;
      const session = openSession(program, (own ?? command).optsWithGlobals<GlobalOptions>(), argv);
      try {
        exitCode = await action(session, ...args);
      } catch (error) {
        exitCode = report(session, error);
      }
    };
  command.commandsGroup('Every day:');
  registerUpdate(command, act);
  registerRollback(command, act);
  registerStatus(command, act);
  registerBackup(command, act);
  registerDoctor(command, act);
  registerLogs(command, act);
  command.commandsGroup('Now and then:');
  registerSetup(command, act);
  registerServices(command, act);
  registerRecover(command, act);
  registerContainers(command, act);
  registerRehearse(command, act);
  registerMigrate(command, act);
  registerData(command, act);
  registerDb(command, act);
  registerConfig(command, act);
  registerHelp(command, act);
  command.commandsGroup('Developing:');
  registerDemo(command, act);
  registerTest(command, act);
  registerBench(command, act);
  try {
    await command.parseAsync(namesNoCommand(argv) ? [...argv, 'status'] : [...argv], { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode !== 0 && argv.includes('--json')) {
      const result = {
        ...{ type: 'result', time: new Date().toISOString(), ok: false, exitCode: exitCodes.usage },
        ...{ error: error.message, next: `${door} help` },
      };
      process.stdout.write(`${JSON.stringify(result)}\n`);
    }
    return error.exitCode === 0 ? exitCodes.ok : exitCodes.usage;
  }
  return exitCode;
}

/** `./run.sh`, or with options alone, is `status`. */
function namesNoCommand(argv: readonly string[]): boolean {
  if (argv.some((word) => ['--help', '-h', '--version', '-V'].includes(word))) return false;
  return argv.every((word, index) => word.startsWith('-') || argv[index - 1] === '--appliance');
}

/** Tells what went wrong and gives the exit code for it. Bugs are told as such. */
function report(session: Session, error: unknown): number {
  if (error instanceof HandedOver) return error.exitCode;
  const exitCode = error instanceof HoldfastError ? error.exitCode : exitCodes.internal;
  const text = describeError(error, { verbose: session.options.verbose === true, paint: session.ui.paint });
  if (session.ui.isJson) {
    const next = error instanceof HoldfastError && error.next !== undefined ? { next: error.next } : {};
    const problems = error instanceof ConfigurationError ? { problems: error.problems } : {};
    session.ui.result(
      { type: 'result', ok: false, exitCode, error: messageOf(error), ...problems, ...next },
      text,
    );
  } else {
    session.ui.say(text);
  }
  return exitCode;
}

// A reader that leaves (`| head -1`, a lost terminal) does not stop what was begun.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {});

process.exitCode = await main(process.argv.slice(2));
