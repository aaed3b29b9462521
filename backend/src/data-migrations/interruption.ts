import { Refusal } from './refusal.ts';

const EXIT_BY_SIGNAL = { SIGINT: 130, SIGTERM: 143 } as const;

/** Turns the first Ctrl-C or SIGTERM into an aborted signal whose reason is the Refusal to end with. */
export function abortOnSignals(controller: AbortController): void {
  for (const name of ['SIGINT', 'SIGTERM'] as const) {
    process.on(name, () => {
      controller.abort(new Refusal(EXIT_BY_SIGNAL[name], `stopped by ${name}`));
    });
  }
}
