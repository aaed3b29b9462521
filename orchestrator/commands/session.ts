import { openAppliance, type Appliance, type Program } from '../appliance/appliance.ts';
import { loadAppliance } from '../config/load.ts';
import { Secrets } from '../lib/secrets.ts';
import { localRuntime } from '../runtime/local.ts';
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
  /** The configured appliance. Throws UsageError. */
  open(): Appliance;
}

export function openSession(program: Program, options: GlobalOptions, argv: readonly string[]): Session {
  const secrets = new Secrets();
  const color = options.color !== false && process.env['NO_COLOR'] === undefined;
  const ui = makeUi({ json: options.json === true, yes: options.yes === true, color, secrets });
  return {
    program,
    options,
    ui,
    secrets,
    argv,
    open: () =>
      openAppliance(loadAppliance(options.appliance ?? program.home), {
        program,
        runtime: localRuntime,
        say: (line) => ui.say(line),
        secrets,
      }),
  };
}
