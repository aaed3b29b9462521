import { createReadStream, existsSync, statSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { Refusal } from '../lib/errors.ts';
import type { Register } from '../main.ts';
import { logPath } from '../ui/run-log.ts';
import { isServiceLog, showServiceLog } from './service-log.ts';
import type { Session } from './session.ts';

interface LogOptions {
  readonly follow?: boolean;
  readonly grep?: string;
}

export const registerLogs: Register = (program, act) => {
  program
    .command('logs')
    .argument('[run]', 'the id of a run, the newest one without it; or a service, or postgres')
    .description('everything that happened in a run, and what its commands printed; or what a service prints')
    .option('-f, --follow', 'go on while the run goes on; of a service, until Ctrl-C')
    .option('--grep <text>', 'only lines that hold this text')
    .action(
      act(
        async (session, run: string | undefined, options: LogOptions) => await showLog(session, run, options),
      ),
    );
};

async function showLog(session: Session, id: string | undefined, options: LogOptions): Promise<number> {
  const appliance = session.open();
  if (id !== undefined && !existsSync(appliance.state.run(id)) && isServiceLog(appliance, id))
    return await showServiceLog(session, id, options);
  const { state } = appliance;
  const run = id ?? state.runIds().at(-1);
  if (run === undefined)
    throw new Refusal('cannot show a log: there was no run yet', './run.sh update makes the first');
  const path = logPath(state.run(run));
  if (!existsSync(path))
    throw new Refusal(
      `cannot show the log of "${run}": there is no such run`,
      './run.sh status --history lists them',
    );
  let shown = await print(session, path, 0, options.grep);
  // A run that is over has nothing more to say.
  while (options.follow && state.unfinishedRun() === run) {
    await sleep(200);
    shown = await print(session, path, shown, options.grep);
  }
  await print(session, path, shown, options.grep);
  return 0;
}

/** Prints a log from an offset on and returns where it ended. */
async function print(
  session: Session,
  path: string,
  from: number,
  grep: string | undefined,
): Promise<number> {
  const { size } = statSync(path);
  if (size <= from) return from;
  const lines = createInterface({
    input: createReadStream(path, { start: from, end: size - 1 }),
    crlfDelay: Number.POSITIVE_INFINITY,
  });
  for await (const line of lines) {
    if (grep !== undefined && !line.includes(grep)) continue;
    process.stdout.write(`${session.ui.isJson ? line : formatLine(line)}\n`);
  }
  return size;
}

/** A log's JSON line as a person reads it. */
function formatLine(line: string): string {
  try {
    const { time, level, msg, type, outcome, step, phase, state, run } = JSON.parse(line) as Record<
      string,
      string | undefined
    >;
    const clock = time?.slice(11, 23) ?? '';
    const text = msg ?? outcome ?? ([step, phase, state].filter(Boolean).join(' ') || (run ?? ''));
    return `${clock} ${(level === 'info' ? (type ?? '') : (level ?? '')).padEnd(8)} ${text}`;
  } catch {
    return line;
  }
}
