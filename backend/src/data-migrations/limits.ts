import { EXIT, Refusal } from './refusal.ts';

/** What one migration may take. */
export interface Limits {
  /** Milliseconds; undefined: as long as it needs. */
  readonly timeoutMs: number | undefined;
  /** Megabytes of JavaScript heap; undefined: what Node gives. */
  readonly memoryMb: number | undefined;
}

/** A timer of Node's that is longer goes off at once. */
const LONGEST_MS = 2 ** 31 - 1;

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, min: 60_000, h: 3_600_000 };

/** Reads `90s`, `10m`, `2h`. @throws Refusal (exit 2). */
export function parseDuration(text: string, name: string): number {
  const [, amount = '', unit = 's'] = /^(\d+(?:\.\d+)?)\s*(ms|s|m|min|h)?$/.exec(text.trim()) ?? [];
  const ms = Number(amount) * (UNITS[unit] ?? 0);
  if (amount === '' || ms <= 0)
    throw new Refusal(
      EXIT.refused,
      `cannot run the data migrations: ${name} is "${text}"; write it like 90s, 10m or 2h`,
    );
  return Math.min(ms, LONGEST_MS);
}

/** Reads a number of megabytes. @throws Refusal (exit 2). */
export function parseMegabytes(text: string, name: string): number {
  const megabytes = Number(/^(\d+)\s*(?:MB|M)?$/i.exec(text.trim())?.[1] ?? Number.NaN);
  if (!(megabytes >= 32))
    throw new Refusal(
      EXIT.refused,
      `cannot run the data migrations: ${name} is "${text}"; write megabytes, 32 or more`,
    );
  return megabytes;
}

export function formatLimit(ms: number | undefined): string {
  if (ms === undefined) return 'its time';
  return ms < 120_000 ? `${ms / 1000} s` : `${Math.round(ms / 60_000)} min`;
}
