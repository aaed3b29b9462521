import { parseArgs } from 'node:util';
import { parseDuration, parseMegabytes, type Limits } from './limits.ts';
import { EXIT, Refusal } from './refusal.ts';

/** What the engine is asked to do. */
export type Task =
  | { readonly command: 'run' | 'dry-run' | 'status' | 'list' | 'help' }
  | { readonly command: 'new'; readonly name: string }
  | { readonly command: 'retry' | 'rerun' | 'down'; readonly id: string }
  | { readonly command: 'skip'; readonly id: string; readonly reason: string };

export interface Request {
  readonly task: Task;
  readonly json: boolean;
  /** Only this migration, whatever its place in the order. */
  readonly only: string | undefined;
  /** Where the migrations and their registry lie, when not in the usual place. */
  readonly directory: string | undefined;
  /** A running backend that is to do it, instead of this process. */
  readonly backendUrl: string | undefined;
  readonly developerKey: string | undefined;
  /** The key came by the flag, and stands in the process list. */
  readonly isKeyVisible: boolean;
  /** So long may that backend take to be healthy. */
  readonly healthTimeoutMs: number;
  readonly limits: Limits;
}

export const USAGE = `usage: run.sh [COMMAND] [--json]

Without a command: runs every data migration that is not applied yet, in order.
  --dry-run             runs them in transactions that the database takes back
                        (SQLite: on a copy), and says what would change
  --status              applied, pending and failed migrations
  --list                every migration with its state and description
  --new NAME            writes the next migration from the template
  --retry ID            goes on with a failed or a skipped one
  --rerun ID            runs one that is done once more, from its start
  --skip ID --reason R  leaves one out, for a reason
  --down ID             takes one back by its down()

  --only ID             with a run or --dry-run: only this migration
  --json                one JSON object a line; the last line is the result
  --timeout 10m         so long may one migration take
  --memory 512          so many megabytes may one migration take
  --directory D         another folder of migrations
  --backend-url URL     asks a running backend to do it (run, --dry-run,
                        --status, --list, --only); waits until it is healthy
  --developer-key KEY   for that; better as DEVELOPER_KEY in the environment,
                        since a flag is visible in the process list
  --wait 60s            so long may it take to be healthy

ID is the file's name without its ending, or its number.

exit: 0 as asked, 1 a migration failed, 2 refused before anything ran,
      4 another runner is at work, 130/143 interrupted`;

const OPTIONS = {
  'dry-run': { type: 'boolean' },
  status: { type: 'boolean' },
  list: { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
  new: { type: 'string' },
  retry: { type: 'string' },
  rerun: { type: 'string' },
  skip: { type: 'string' },
  down: { type: 'string' },
  reason: { type: 'string' },
  json: { type: 'boolean' },
  only: { type: 'string' },
  timeout: { type: 'string' },
  memory: { type: 'string' },
  directory: { type: 'string' },
  'backend-url': { type: 'string' },
  'developer-key': { type: 'string' },
  wait: { type: 'string' },
} as const;

const COMMANDS = ['help', 'status', 'list', 'dry-run', 'new', 'retry', 'rerun', 'skip', 'down'] as const;
const REMOTE = new Set(['run', 'dry-run', 'status', 'list']);
/** The backend's own affair. */
const LOCAL = ['directory', 'timeout', 'memory'] as const;

type Values = ReturnType<typeof parse>;

/**
 * @param variables of the environment, where flags leave something open
 * @throws Refusal with exit 2 and the reason for anything that is not understood.
 */
export function parseArguments(argv: readonly string[], variables: NodeJS.ProcessEnv = process.env): Request {
  const values = parse(argv);
  const asked = COMMANDS.filter((command) => values[command] !== undefined);
  if (asked.length > 1) throw badUsage(`--${asked[0]} and --${asked[1]} exclude each other`);
  const task = readTask(asked[0], values);
  const { command } = task;
  for (const name of ['only', 'new', 'retry', 'rerun', 'skip', 'down', 'backend-url', 'directory'] as const)
    if (values[name] === '') throw badUsage(`--${name} needs a value`);
  if (values.only !== undefined && command !== 'run' && command !== 'dry-run')
    throw badUsage(`--only goes with a run or --dry-run, not with --${command}`);
  if (values.reason !== undefined && command !== 'skip') throw badUsage('--reason goes with --skip');
  const backendUrl = readBackendUrl(values);
  if (backendUrl !== undefined && !REMOTE.has(command))
    throw badUsage(`--${command} is done where the migrations are, not through --backend-url`);
  const local = LOCAL.find((name) => backendUrl !== undefined && values[name] !== undefined);
  if (local !== undefined)
    throw badUsage(`--${local} is set where the migrations are, not through --backend-url`);
  const timeout = values.timeout ?? variables['DATA_MIGRATION_TIMEOUT'];
  const memory = values.memory ?? variables['DATA_MIGRATION_MEMORY_MB'];
  return {
    task,
    json: values.json ?? false,
    only: values.only,
    directory: values.directory,
    backendUrl,
    developerKey: values['developer-key'] ?? variables['DEVELOPER_KEY'],
    isKeyVisible: values['developer-key'] !== undefined,
    healthTimeoutMs: parseDuration(values.wait ?? '60s', '--wait'),
    limits: {
      timeoutMs:
        timeout === undefined || (values.timeout === undefined && timeout === '')
          ? undefined
          : parseDuration(timeout, '--timeout'),
      memoryMb: memory ? parseMegabytes(memory, '--memory') : undefined,
    },
  };
}

function readTask(command: (typeof COMMANDS)[number] | undefined, values: Values): Task {
  switch (command) {
    case undefined:
      return { command: 'run' };
    case 'new':
      return { command, name: values.new ?? '' };
    case 'retry':
    case 'rerun':
    case 'down':
      return { command, id: values[command] ?? '' };
    case 'skip':
      if (!values.reason?.trim())
        throw badUsage('--skip needs a --reason: somebody will ask why it was left out');
      return { command, id: values.skip ?? '', reason: values.reason.trim() };
    case 'help':
    case 'status':
    case 'list':
    case 'dry-run':
      return { command };
  }
}

function readBackendUrl(values: Values): string | undefined {
  const url = values['backend-url'];
  if (url === undefined) return undefined;
  if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol))
    throw badUsage('--backend-url is no URL; it looks like http://localhost:4000');
  return url;
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
