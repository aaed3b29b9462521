import { createReadStream, existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Appliance } from '../appliance/appliance.ts';
import { serviceLog } from '../appliance/services.ts';
import { InterruptedError, Refusal, UsageError } from '../lib/errors.ts';
import type { Session } from './session.ts';

interface Options {
  readonly follow?: boolean;
  readonly grep?: string;
}

/** What is shown of a log that may be of years. */
const shownLines = 200;

/** What stands for the log of the database server that Holdfast runs, unless a service is called so. */
const databaseName = 'postgres';

/** Whether this names a log of a service or of the database, and not a run: ids of runs begin with a digit. */
export const isServiceLog = ({ config }: Appliance, name: string) =>
  Object.hasOwn(config.services, name) || name === databaseName || !/^\d/.test(name);

/** Shows the end of what a service or the database server has printed; with `grep`, of all of it the lines that hold that. */
export async function showServiceLog(session: Session, name: string, options: Options): Promise<number> {
  const appliance = session.open();
  const { config, state } = appliance;
  if (Object.hasOwn(config.services, name))
    return await showFile(session, serviceLog(appliance, name), name, options);
  const hasServer =
    config.database !== 'none' && 'embedded' in config.database && config.database.embedded === true;
  if (name !== databaseName || !hasServer)
    throw new UsageError(
      `there is no service "${name}"`,
      `name one of ${[...Object.keys(config.services), ...(hasServer ? [databaseName] : [])].join(', ')}, or a run (./run.sh status --history)`,
    );
  return config.runtime === 'lxd'
    ? await showUnit(session, appliance, options)
    : await showFile(session, join(state.postgres, 'server.log'), name, options);
}

async function showFile(session: Session, path: string, name: string, options: Options): Promise<number> {
  if (!existsSync(path))
    throw new Refusal(`cannot show the log of ${name}: it was never started here`, './run.sh start');
  let at = await read(path, 0, teller(session, name, options));
  // A reader that went away, as `head` does.
  while (options.follow && process.stdout.writable) {
    await sleep(200);
    const { size } = statSync(path, { throwIfNoEntry: false }) ?? { size: 0 };
    // One that is shorter than it was has been rotated.
    if (size < at) at = 0;
    at = await read(path, at, { ...teller(session, name, options), last: Infinity });
  }
  return 0;
}

/** How whoever reads goes away. */
const leaving = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

interface Teller {
  readonly last: number;
  holds(line: string): boolean;
  tell(line: string): void;
}

function teller(session: Session, name: string, { grep }: Options): Teller {
  return {
    last: grep === undefined ? shownLines : Infinity,
    holds: (line) => grep === undefined || line.includes(grep),
    tell: (line) => {
      const masked = session.secrets.mask(line);
      const text = session.ui.isJson
        ? JSON.stringify({ type: 'output', service: name, line: masked })
        : masked;
      process.stdout.write(`${text}\n`);
    },
  };
}

/** Tells lines from an offset on, the last ones of them, and returns where they ended. */
async function read(path: string, from: number, { last, holds, tell }: Teller): Promise<number> {
  const { size } = statSync(path);
  if (size <= from) return from;
  const kept: string[] = [];
  const lines = createInterface({
    input: createReadStream(path, { start: from, end: size - 1 }),
    crlfDelay: Number.POSITIVE_INFINITY,
  });
  for await (const line of lines) {
    if (!holds(line)) continue;
    if (last === Infinity) tell(line);
    else if (kept.push(line) > last) kept.shift();
  }
  kept.forEach(tell);
  return size;
}

/** The server in its container writes to the journal there. */
async function showUnit(session: Session, { runtime }: Appliance, options: Options): Promise<number> {
  const { last, holds, tell } = teller(session, databaseName, options);
  const follow = options.follow ? ['--follow'] : [];
  const lines = last === Infinity ? 'all' : String(last);
  // What runs inside does not end with us.
  const reader = new AbortController();
  const leave = () => {
    reader.abort(new InterruptedError('SIGINT'));
  };
  for (const signal of leaving) process.once(signal, leave);
  process.stdout.once('error', leave);
  const work = runtime.run(
    {
      inside: 'postgres',
      file: 'journalctl',
      args: [
        ...['--unit=holdfast-postgres.service', '--no-pager', '--quiet', '--output=short-iso'],
        ...[`--lines=${lines}`, ...follow],
      ],
      user: 'root',
      label: 'journal of PostgreSQL',
    },
    {
      onLine: (line) => {
        if (holds(line)) tell(line);
      },
      signal: reader.signal,
    },
  );
  await work.finally(() => {
    for (const signal of leaving) process.off(signal, leave);
    process.stdout.off('error', leave);
  });
  return 0;
}
