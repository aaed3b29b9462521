import { existsSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { openAppliance, type Appliance, type Program } from '../appliance/appliance.ts';
import { learnSecrets } from '../config/known-secrets.ts';
import { loadAppliance } from '../config/load.ts';
import { Secrets } from '../lib/secrets.ts';
import { messageOf } from '../lib/errors.ts';
import { damagedRun } from '../pipeline/damaged-run.ts';
import { findOpenRun } from '../pipeline/open-run.ts';
import { openPinned } from '../pipeline/run.ts';
import { localRuntime } from '../runtime/local.ts';
import { doorFor } from '../ui/door.ts';
import { makeUi } from '../ui/terminal.ts';
import type { Ui } from '../ui/ui.ts';

/** Options that every command knows. */
export interface GlobalOptions {
  readonly appliance?: string;
  readonly json?: boolean;
  readonly yes?: boolean;
  readonly verbose?: boolean;
  /** commander's way: --no-color makes it false. */
  readonly color?: boolean;
}

/** What a command works with. */
export interface Session {
  readonly program: Program;
  readonly options: GlobalOptions;
  readonly ui: Ui;
  readonly secrets: Secrets;
  /** The whole command line, to be handed on. */
  readonly argv: readonly string[];
  /** The configured appliance; lenient, files that it names may be missing. Throws UsageError. */
  open(options?: { lenient?: boolean }): Appliance;
}

export function openSession(program: Program, options: GlobalOptions, argv: readonly string[]): Session {
  const secrets = new Secrets();
  const color = options.color !== false && process.env['NO_COLOR'] === undefined;
  const ui = makeUi({
    json: options.json === true,
    yes: options.yes === true,
    color,
    secrets,
    door: doorFor(process.env['HOLDFAST_DOOR'], options.appliance),
  });
  return {
    program,
    options,
    ui,
    secrets,
    argv,
    open: (how) => {
      const parts = { program, runtime: localRuntime, say: (line: string) => ui.say(line), secrets };
      const path = resolve(options.appliance ?? program.home);
      const directory = existsSync(path) && statSync(path).isDirectory() ? path : dirname(path);
      // While a run is open, what counts is what it pinned: the file may be half-way to another version.
      const open = findOpenRun(directory);
      const pinned = open && openPinned(directory, { statePath: open.state.path, runId: open.run }, parts);
      if (pinned) {
        learnSecrets(pinned, secrets);
        return pinned;
      }
      try {
        const loaded = loadAppliance(path, how);
        learnSecrets(loaded, secrets);
        return openAppliance(loaded, parts);
      } catch (error) {
        // What the run pinned is lost, and the checkout's own file may be half-way to another version.
        throw open ? damagedRun(open.state, open.run, messageOf(error), error) : error;
      }
    },
  };
}
