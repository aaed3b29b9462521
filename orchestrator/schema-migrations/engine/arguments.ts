import { isRecord } from './is-record.ts';

/** Where the database is, as Prisma's CLI hands it over in `--datasource`. */
export interface Datasource {
  readonly url?: string;
  readonly shadowDatabaseUrl?: string;
}

/** What is asked of the engine; `serve` is the JSON-RPC server on stdin and stdout. */
export type EngineCommand =
  'serve' | 'version' | 'can-connect-to-database' | 'create-database' | 'drop-database';

export interface EngineArguments {
  readonly command: EngineCommand;
  readonly datasource: Datasource;
  /** Paths of the schema files, in the order given. Relative ones are relative to the working directory. */
  readonly datamodels: readonly string[];
}

const cliCommands = ['can-connect-to-database', 'create-database', 'drop-database'] as const;

/** These carry a value that the WebAssembly engine takes from the schema itself, so they are read and left alone. */
const ignoredOptions: readonly string[] = ['--enabled-preview-features', '--extension-types'];

/**
 * Reads the command line that Prisma's CLI 7.10 starts its schema engine with.
 *
 * Everything unknown is refused: an engine that misreads its command line waits on stdin for ever, and the CLI with
 * it (measured with Prisma 6, whose `--datasource` is a plain URL).
 *
 * @throws {Error} with a sentence that names the argument.
 * Source: `SchemaEngineCLI.internalInit` and `execaCommand` in prisma 7.10.0's `build/cli.js`.
 */
export function parseEngineArguments(argv: readonly string[]): EngineArguments {
  let command: EngineCommand = 'serve';
  let datasource: Datasource = {};
  const datamodels: string[] = [];

  const rest = [...argv];
  for (let argument = rest.shift(); argument !== undefined; argument = rest.shift()) {
    if (argument === '--version' || argument === '-V') command = 'version';
    else if (argument === '--datasource') datasource = parseDatasource(valueOf(argument, rest));
    else if (argument === '--datamodels' || argument === '-d') datamodels.push(valueOf(argument, rest));
    else if (ignoredOptions.includes(argument)) valueOf(argument, rest);
    else if (argument === 'cli') command = parseCliCommand(rest.shift());
    else throw new Error(`cannot start the schema engine: unknown argument ${describe(argument)}`);
  }
  return { command, datasource, datamodels };
}

function valueOf(option: string, rest: string[]): string {
  const value = rest.shift();
  if (value === undefined) throw new Error(`cannot start the schema engine: ${option} needs a value`);
  return value;
}

function parseCliCommand(name: string | undefined): EngineCommand {
  const command = cliCommands.find((known) => known === name);
  if (command !== undefined) return command;
  throw new Error(`cannot start the schema engine: cli wants one of ${cliCommands.join(', ')}`);
}

function parseDatasource(json: string): Datasource {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    value = undefined;
  }
  if (!isRecord(value)) {
    throw new Error(
      'cannot start the schema engine: --datasource wants JSON with a url (as Prisma 7 passes it; this engine serves 7.10)',
    );
  }
  const { url, shadowDatabaseUrl } = value;
  return {
    ...(typeof url === 'string' && url !== '' ? { url } : {}),
    ...(typeof shadowDatabaseUrl === 'string' && shadowDatabaseUrl !== '' ? { shadowDatabaseUrl } : {}),
  };
}

/** An unknown argument may be a URL with a password in it: show only what cannot be one. */
function describe(argument: string): string {
  return /^--?[a-z-]+$/i.test(argument) ? argument : 'that is neither an option nor "cli"';
}
