import type { Place, Runtime } from './runtime.ts';

/** The same runtime, whose commands run in a place unless they name another. */
export function runningInside(runtime: Runtime, inside: Place): Runtime {
  return { ...runtime, run: async (command, options) => await runtime.run({ inside, ...command }, options) };
}
