import { InterruptedError } from './errors.ts';

/** The signals of this process, seen from a run. */
export interface Signals {
  /** Fires once, at the first Ctrl-C or SIGTERM. */
  readonly abort: AbortController;
  /** From now on signals are noted and answered, not obeyed: the way back is being walked, or all is done. */
  shield(): void;
  /** What comes now may be stopped again: nothing is in pieces, and nothing is walked back. */
  unshield(): void;
  /** Gives the signals back. */
  release(): void;
}

/**
 * Takes SIGINT and SIGTERM over. A lost terminal (SIGHUP, a closed pipe) does not stop a run.
 *
 * @param answer tells the operator why a signal is not obeyed now
 */
export function takeSignals(answer: (line: string) => void): Signals {
  const abort = new AbortController();
  let shielded = false;
  const onSignal = (signal: 'SIGINT' | 'SIGTERM') => {
    if (shielded || abort.signal.aborted)
      answer(
        'Still at work; this cannot be interrupted without leaving the appliance in pieces. Please wait.',
      );
    else abort.abort(new InterruptedError(signal));
  };
  const interrupt = () => onSignal('SIGINT');
  const terminate = () => onSignal('SIGTERM');
  const ignore = () => {};
  process.on('SIGINT', interrupt).on('SIGTERM', terminate).on('SIGHUP', ignore);
  return {
    abort,
    shield: () => {
      shielded = true;
    },
    unshield: () => {
      shielded = false;
    },
    release: () => {
      process.off('SIGINT', interrupt).off('SIGTERM', terminate).off('SIGHUP', ignore);
    },
  };
}
