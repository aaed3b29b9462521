import { join } from 'node:path';
import type { Program } from '../appliance/appliance.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { sandboxMark } from './leftovers.ts';
import { parseEventLine, type CliEvent } from './cli-events.ts';
import type { Sandbox } from './sandbox.ts';

/** How a command of Holdfast ended. */
export interface Ended {
  readonly exitCode: number;
  /** The last line of `--json`; undefined where there was none. */
  readonly result: CliEvent | undefined;
  readonly totalMs: number;
  /** What it printed beside its events, the end of it: where it says why it died. */
  readonly aside: readonly string[];
}

export interface Cli {
  /** Runs a command of Holdfast on the sandbox's appliance; an exit code other than 0 does not throw. */
  run(
    args: readonly string[],
    onEvent?: (event: CliEvent) => void,
    onAside?: (line: string) => void,
  ): Promise<Ended>;
}

/**
 * Holdfast as an operator would call it, on the sandbox's appliance: the same runner, in a process of its own. What is
 * demonstrated is the whole program, its exit codes and its `--json` included.
 */
export function cliFor(program: Program, sandbox: Sandbox, runtime: Runtime, signal: AbortSignal): Cli {
  return {
    run: async (args, onEvent, onAside) => {
      const aside: string[] = [];
      let result: CliEvent | undefined;
      const startedAt = performance.now();
      const { exitCode } = await runtime.run(
        {
          file: program.node,
          args: [join(program.runner, 'main.mjs'), '--appliance', sandbox.appliance, ...args],
          cwd: sandbox.path,
          env: environment(program, sandbox),
          label: `holdfast ${args[0] ?? ''}`,
        },
        {
          signal,
          allowFailure: true,
          onLine: (line) => {
            const event = parseEventLine(line);
            if (event?.type === 'result') result = event;
            if (event) return onEvent?.(event);
            aside.push(line);
            if (aside.length > 20) aside.shift();
            onAside?.(line);
          },
        },
      );
      return { exitCode, result, totalMs: performance.now() - startedAt, aside };
    },
  };
}

function environment(program: Program, sandbox: Sandbox): Record<string, string> {
  const inherited = Object.entries(process.env).filter(
    (entry): entry is [string, string] => entry[1] !== undefined && !entry[0].startsWith('HOLDFAST_'),
  );
  return { ...Object.fromEntries(inherited), HOLDFAST_HOME: program.home, [sandboxMark]: sandbox.path };
}
