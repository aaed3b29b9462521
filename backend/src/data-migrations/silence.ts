const AFTER_MS = 5 * 60_000;

/** A watch over a migration that may never end: nothing else tells the one who waits for it. */
export interface Silence {
  /** It gave a sign: a line, or how far it is. */
  heard(): void;
  end(): void;
}

/**
 * Says that a migration is still at work, each time that it was silent for so long.
 *
 * @param afterMs milliseconds
 */
export function watchSilence(say: (message: string) => void, afterMs = AFTER_MS): Silence {
  const minutes = (ms: number): string => `${Math.round(ms / 60_000)} min`;
  let periods = 0;
  let sinceSign = 0;
  const timer = setInterval(() => {
    periods += 1;
    sinceSign += 1;
    if (sinceSign === 0) return;
    say(
      `still at work after ${minutes(periods * afterMs)}, and silent for ${minutes(sinceSign * afterMs)}. It goes on until it ends: Ctrl-C stops it, --timeout 1h limits it. One whose work is done may have left a connection open`,
    );
  }, afterMs);
  return {
    heard: () => {
      sinceSign = -1;
    },
    end: () => clearInterval(timer),
  };
}
