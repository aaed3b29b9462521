import { parseArgs } from 'node:util';
import { EXIT, Refusal } from './refusal.ts';

/** What the engine is asked to do. */
export interface Request {
  readonly command: 'run' | 'dry-run' | 'status' | 'list' | 'help';
  readonly json: boolean;
  /** Only this migration, whatever its place in the order. */
  readonly only: string | undefined;
  /** Where the migrations and their registry lie, when not in the usual place. */
  readonly directory: string | undefined;
}

export const USAGE = `usage: run.sh [--dry-run | --status | --list] [--only ID] [--json]

Without a flag: runs every data migration that is not applied yet, in order.
  --dry-run     says what would run; evaluates shouldRun, writes nothing
  --status      applied, pending and failed migrations (no database needed)
  --list        every migration with its description (no database needed)
  --only ID     only this migration
  --json        one JSON object a line; the last line is the result
  --directory D another folder of migrations

exit: 0 as asked, 1 a migration failed, 2 refused before anything ran,
      4 another runner is at work, 130/143 interrupted`;

const OPTIONS = {
  'dry-run': { type: 'boolean' },
  status: { type: 'boolean' },
  list: { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
  json: { type: 'boolean' },
  only: { type: 'string' },
  directory: { type: 'string' },
} as const;

const COMMANDS = ['help', 'status', 'list', 'dry-run'] as const;

/** @throws Refusal with exit 2 and the reason for anything that is not understood. */
export function parseArguments(argv: readonly string[]): Request {
  const values = parse(argv);
  const asked = COMMANDS.filter((command) => values[command]);
  if (asked.length > 1) {
    throw badUsage(`--${asked[0]} and --${asked[1]} exclude each other`);
  }
  const command = asked[0] ?? 'run';
  if (values.only === '') throw badUsage('--only needs the id of a migration');
  if (values.only !== undefined && (command === 'status' || command === 'list')) {
    throw badUsage(`--only goes with a run or --dry-run, not with --${command}`);
  }
  return { command, json: values.json ?? false, only: values.only, directory: values.directory };
}

function parse(argv: readonly string[]) {
  try {
    return parseArgs({ args: [...argv], options: OPTIONS, strict: true, allowPositionals: false }).values;
  } catch (error) {
    throw badUsage(error instanceof Error ? (error.message.split('. ')[0] ?? '') : String(error));
  }
}

function badUsage(reason: string): Refusal {
  return new Refusal(EXIT.refused, `cannot run the data migrations: ${reason}. See run.sh --help`);
}
