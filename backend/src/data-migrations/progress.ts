import type { Progress } from './protocol.ts';

/** The rate is that of the last seconds: a migration that slowed down must not look as quick as it was. */
const WINDOW_MS = 10_000;
const EVERY_MS = 500;

/**
 * Turns "so many rows of so many" into rate and time left, and tells it not more often than somebody can read.
 *
 * @param now for tests: milliseconds
 */
export function createProgress(
  tell: (progress: Progress) => void,
  now: () => number = () => performance.now(),
): (done: number, total?: number) => void {
  const marks: { at: number; done: number }[] = [{ at: now(), done: 0 }];
  let toldAt = Number.NEGATIVE_INFINITY;
  return (done, total) => {
    const at = now();
    const isLast = total !== undefined && done >= total;
    marks.push({ at, done });
    while (marks.length > 2 && at - (marks[1]?.at ?? at) > WINDOW_MS) marks.shift();
    if (!isLast && at - toldAt < EVERY_MS) return;
    toldAt = at;
    const first = marks[0] ?? { at, done };
    const seconds = (at - first.at) / 1000;
    const rate = seconds > 0 ? Math.max(0, Math.round((done - first.done) / seconds)) : 0;
    tell({
      done,
      rate,
      ...(total === undefined ? {} : { total }),
      ...(total === undefined || rate === 0
        ? {}
        : { secondsLeft: Math.ceil(Math.max(0, total - done) / rate) }),
    });
  };
}

const count = new Intl.NumberFormat('en-US');

/** One steady line: `120,000 of 1,000,000 rows (12 %), 48,000 rows/s, 18 s left`. */
export function formatProgress({ done, total, rate, secondsLeft }: Progress): string {
  const of =
    total === undefined || total === 0
      ? ''
      : ` of ${count.format(total)} rows (${Math.min(100, Math.floor((done / total) * 100))} %)`;
  const left = secondsLeft === undefined || secondsLeft === 0 ? '' : `, ${formatSeconds(secondsLeft)} left`;
  return `${count.format(done)}${of === '' ? ' rows' : of}, ${count.format(rate)} rows/s${left}`;
}

function formatSeconds(seconds: number): string {
  if (seconds < 90) return `${seconds} s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 90 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}
