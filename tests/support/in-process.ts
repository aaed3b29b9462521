import { Command } from 'commander';
import { openAppliance, type Appliance, type Program } from '../../orchestrator/appliance/appliance.ts';
import { registerBackup } from '../../orchestrator/commands/backup.ts';
import { registerContainers } from '../../orchestrator/commands/containers.ts';
import { registerData } from '../../orchestrator/commands/data.ts';
import { registerDb } from '../../orchestrator/commands/db.ts';
import { registerMigrate } from '../../orchestrator/commands/migrate.ts';
import { registerRecover } from '../../orchestrator/commands/recover.ts';
import { registerRehearse } from '../../orchestrator/commands/rehearse.ts';
import { registerRollback } from '../../orchestrator/commands/rollback.ts';
import { registerServices } from '../../orchestrator/commands/services.ts';
import type { GlobalOptions, Session } from '../../orchestrator/commands/session.ts';
import { registerSetup } from '../../orchestrator/commands/setup.ts';
import { registerStatus } from '../../orchestrator/commands/status.ts';
import { registerUpdate } from '../../orchestrator/commands/update.ts';
import { loadAppliance } from '../../orchestrator/config/load.ts';
import { HoldfastError, messageOf } from '../../orchestrator/lib/errors.ts';
import { Secrets } from '../../orchestrator/lib/secrets.ts';
import type { Act } from '../../orchestrator/main.ts';
import type { Event, ResultEvent } from '../../orchestrator/pipeline/events.ts';
import type { Runtime } from '../../orchestrator/runtime/runtime.ts';

/** How a command ended, and what it said on the way. */
export interface Outcome {
  readonly exitCode: number;
  readonly result: ResultEvent | undefined;
  /** Why it failed or refused; empty when it did not. */
  readonly error: string;
  readonly next: string | undefined;
  /** Its last word, as an operator reads it. */
  readonly text: string;
  /** What it told the operator on the way. */
  readonly printed: readonly string[];
  readonly events: readonly Event[];
}

const same = (text: string) => text;
const paint = { bold: same, dim: same, red: same, green: same, yellow: same };

/** Runs one of Holdfast's own commands in this process, silently, on a runtime that may be wrapped. */
export async function runInProcess(
  program: Program,
  runtime: Runtime,
  argv: readonly string[],
  listen: (event: Event) => void = () => {},
): Promise<Outcome> {
  const events: Event[] = [];
  let result: ResultEvent | undefined;
  let lastWord = '';
  const printed: string[] = [];
  let exitCode = 0;
  let failure: unknown;
  const secrets = new Secrets();
  const listener = (event: Event) => {
    events.push(event);
    listen(event);
  };
  const ui: Session['ui'] = {
    isJson: true,
    listener,
    driver: { drive: driveSilently },
    print: (line) => printed.push(line),
    say: (message) => listener({ type: 'say', message }),
    result: (event, text) => {
      result = event;
      lastWord = text;
    },
    confirm: async () => await Promise.resolve(true),
    canAsk: false,
    ask: async () => await Promise.resolve(undefined),
    paint,
  };
  const command = new Command().exitOverride().option('--appliance <path>').option('--json').option('--yes');
  const act: Act =
    (action) =>
    async (...args) => {
      const options = command.opts<GlobalOptions>();
      const open = (how?: { lenient?: boolean }): Appliance =>
        openAppliance(loadAppliance(options.appliance ?? program.home, how), { program, runtime, secrets });
      try {
        exitCode = await action({ program, options, ui, secrets, argv, open }, ...args);
      } catch (error) {
        failure = error;
        exitCode = error instanceof HoldfastError ? error.exitCode : 1;
      }
    };
  for (const register of [
    ...[registerUpdate, registerRollback, registerRecover, registerSetup, registerStatus],
    ...[registerBackup, registerData, registerDb, registerMigrate, registerRehearse, registerServices],
    registerContainers,
  ])
    register(command, act);
  await command.parseAsync([...argv], { from: 'user' });
  return {
    exitCode,
    result,
    error: failure === undefined ? textOf(result?.['error']) : messageOf(failure),
    next: failure instanceof HoldfastError ? failure.next : textOf(result?.['next']) || undefined,
    text: lastWord,
    printed,
    events,
  };
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

type Drive = Session['ui']['driver']['drive'];
const driveSilently: Drive = async (tasks) => {
  for (const task of tasks) await task.run(() => {});
};
