/**
 * The exit codes. Each tells the operator one thing: what state the appliance is in now.
 */
export const exitCodes = {
  ok: 0,
  internal: 1,
  usage: 2,
  refused: 3,
  locked: 4,
  restored: 10,
  notRestored: 11,
  interrupted: 130,
  terminated: 143,
} as const;

/**
 * An error that was thought about: it says what, why, and what to type next.
 * Everything else that is thrown is an internal error and ends with exit 1.
 */
export class HoldfastError extends Error {
  readonly exitCode: number;
  /** The next command or action, as one line without the "Next:" label. */
  readonly next: string | undefined;

  constructor(message: string, options: { exitCode: number; next?: string | undefined; cause?: unknown }) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = new.target.name;
    this.exitCode = options.exitCode;
    this.next = options.next;
  }
}

/** Bad usage or configuration: nothing was looked at yet, nothing changed. */
export class UsageError extends HoldfastError {
  constructor(message: string, next?: string) {
    super(message, { exitCode: exitCodes.usage, next });
  }
}

/** A check said no before anything was changed. `next` is the fix. */
export class Refusal extends HoldfastError {
  constructor(message: string, next?: string, cause?: unknown) {
    super(message, { exitCode: exitCodes.refused, next, cause });
  }
}

/** Another run holds the lock. */
export class LockHeldError extends HoldfastError {
  constructor(message: string, next?: string) {
    super(message, { exitCode: exitCodes.locked, next });
  }
}

/** The operator or the system asked us to stop. */
export class InterruptedError extends HoldfastError {
  readonly signal: 'SIGINT' | 'SIGTERM';
  constructor(signal: 'SIGINT' | 'SIGTERM') {
    super(`interrupted by ${signal}`, {
      exitCode: signal === 'SIGINT' ? exitCodes.interrupted : exitCodes.terminated,
    });
    this.signal = signal;
  }
}

/** The way back could not be walked to its end: services stay down, and what is safe where depends on how far it came. */
export class NotRestoredError extends HoldfastError {
  constructor(message: string, options: { next?: string; cause?: unknown } = {}) {
    super(message, { exitCode: exitCodes.notRestored, ...options });
  }
}

/** One line that says what went wrong, for any thrown value. */
export function messageOf(error: unknown): string {
  if (error instanceof AggregateError && error.message === '') return error.errors.map(messageOf).join('; ');
  return error instanceof Error ? error.message : String(error);
}

/** True where there was no room: no blocks, no inodes, no quota. */
export function isDiskFull(error: unknown): boolean {
  return hasCode(error, 'ENOSPC', 'EDQUOT');
}

/** True for a Node system error with this code, such as `ENOENT`. */
export function hasCode(error: unknown, ...codes: string[]): boolean {
  return error instanceof Error && 'code' in error && codes.includes(String(error.code));
}
