import { createInterface } from 'node:readline/promises';
import { styleText } from 'node:util';
import { Listr, type ListrTask } from 'listr2';
import { messageOf, UsageError } from '../lib/errors.ts';
import { stringifyMasked, type Secrets } from '../lib/secrets.ts';
import { formatDuration } from '../lib/units.ts';
import type { Driver, DriverTask, Event, ResultEvent } from '../pipeline/events.ts';
import { spellCommands } from './door.ts';
import type { Paint, Ui } from './ui.ts';

export interface UiOptions {
  readonly json: boolean;
  readonly yes: boolean;
  readonly color: boolean;
  readonly secrets: Secrets;
  /** How commands are typed in advice, by `doorFor`. */
  readonly door?: string;
}

/** The way to speak that fits where the output goes. */
export function makeUi(options: UiOptions): Ui {
  const clean = (text: string) => spellCommands(options.secrets.mask(text), options.door ?? './run.sh');
  const out = (text: string) => void process.stdout.write(`${clean(text)}\n`);
  const outJson = ({ type, ...rest }: Event) => {
    // Another command's event, which the demo passes on, keeps its own time.
    const event = { type, time: new Date().toISOString(), ...rest };
    process.stdout.write(`${stringifyMasked(event, clean)}\n`);
  };
  const aside = (text: string) => void process.stderr.write(`${clean(text)}\n`);
  // A console without a size, as a serial one, shows nothing of a live list.
  const interactive = process.stdout.isTTY && process.stdout.columns !== 0 && !options.json;
  const paint = makePaint(options.color && interactive);
  return {
    isJson: options.json,
    paint,
    driver: options.json ? silentDriver : interactive ? listrDriver(clean, aside) : plainDriver(out),
    listener: options.json
      ? (event) => (event.type === 'output' ? undefined : outJson(roundTimes(event)))
      : (event) => tell(event, aside, paint),
    print: (text) => (options.json ? undefined : out(text)),
    say: (line) => (options.json ? undefined : aside(line)),
    result: (event, text) => (options.json ? outJson(event) : out(text)),
    confirm: async (question) => await confirm(question, options),
    canAsk: canAsk(options),
    ask: async (question) => (canAsk(options) ? await ask(question) : undefined),
  };
}

const runTitles = {
  update: 'Updating',
  rollback: 'Rolling back',
  backup: 'Backing up',
  migrate: 'Migrating',
} as const;

/** What a listener shows beside the tasks: warnings, and the way back. Why a task failed is the driver's to tell. */
function tell(event: Event, aside: (text: string) => void, paint: Paint): void {
  if (event.type === 'warning') aside(`${paint.yellow('warning:')} ${event.message}`);
  if (event.type === 'run')
    aside(
      paint.bold(
        `${runTitles[event.kind]} ${event.from === event.to ? event.from : `${event.from} -> ${event.to}`}`,
      ),
    );
  if (event.type === 'restore' && event.state === 'started') aside(paint.dim(`  restoring: ${event.phase}`));
  if (event.type === 'say') aside(event.message);
}

function roundTimes(event: Event): Event | ResultEvent {
  return 'ms' in event && typeof event.ms === 'number' ? { ...event, ms: Math.round(event.ms) } : event;
}

function makePaint(on: boolean): Paint {
  const style = (format: Parameters<typeof styleText>[0]) => (text: string) =>
    on ? styleText(format, text, { validateStream: false }) : text;
  return {
    bold: style('bold'),
    dim: style('dim'),
    red: style('red'),
    green: style('green'),
    yellow: style('yellow'),
  };
}

async function confirm(question: string, options: UiOptions): Promise<boolean> {
  if (options.yes) return true;
  if (!canAsk(options)) {
    throw new UsageError('cannot ask for your consent: there is no terminal', 'add --yes if you mean it');
  }
  return /^y(es)?$/i.test(await ask(`${question} [y/N] `));
}

const canAsk = ({ json }: UiOptions) => process.stdin.isTTY && !json;

async function ask(question: string): Promise<string> {
  const prompt = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return (await prompt.question(question)).trim();
  } finally {
    prompt.close();
  }
}

const silentDriver: Driver = {
  drive: async (tasks) => {
    for (const task of tasks) await task.run(() => {});
  },
};

/** One line when a task begins, one when it ends: for logs, cron and pipes. */
function plainDriver(out: (text: string) => void): Driver {
  return {
    drive: async (tasks, { tellsWhy = true } = {}) => {
      for (const task of tasks) {
        const startedAt = performance.now();
        let last = '';
        try {
          const skipped = await task.run((line) => {
            last = line;
          });
          const took = formatDuration(performance.now() - startedAt);
          out(
            skipped === undefined
              ? `✔ ${task.title} (${took})${last === '' ? '' : `: ${last}`}`
              : `- ${task.title}: ${skipped}`,
          );
        } catch (error) {
          const took = formatDuration(performance.now() - startedAt);
          out(`✖ ${task.title} (${took})${tellsWhy ? `: ${messageOf(error)}` : ''}`);
          throw error;
        }
      }
    },
  };
}

/**
 * listr2 shows and drives the tasks. It owns neither signals nor recovery: its own SIGINT handling rolls back while a
 * step is still running, and its rollback knows the failing task only.
 */
function listrDriver(clean: (text: string) => string, aside: (text: string) => void): Driver {
  return {
    drive: async (tasks, { tellsWhy = true } = {}) => {
      const list = new Listr(
        tasks.map((task) => listrTask(task, clean)),
        {
          concurrent: false,
          exitOnError: true,
          registerSignalListeners: false,
          rendererOptions: {
            collapseSubtasks: false,
            collapseErrors: false,
            showErrorMessage: false,
            formatOutput: 'truncate',
          },
        },
      );
      try {
        await list.run();
      } catch (error) {
        // The list shows which one it was.
        if (tellsWhy) aside(`  ${messageOf(error).replaceAll('\n', '\n  ')}`);
        throw error;
      }
    },
  };
}

function listrTask(task: DriverTask, clean: (text: string) => string): ListrTask {
  return {
    title: task.title,
    rendererOptions: { outputBar: 1, persistentOutput: false },
    task: async (_context, wrapper) => {
      const startedAt = performance.now();
      let last = '';
      const skipped = await task.run((line) => {
        last = clean(line);
        wrapper.output = last;
      });
      if (skipped !== undefined) {
        wrapper.skip(`${task.title}: ${skipped}`);
        return;
      }
      wrapper.title = `${task.title} ${styleText('dim', `${formatDuration(performance.now() - startedAt)}${last === '' ? '' : ` · ${last}`}`)}`;
    },
  };
}
