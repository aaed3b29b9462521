/** The queries that failed, and what became of them (failures.mjs, which is loaded before any loader). */
export interface Failures {
  failed(one: {
    readonly key: string;
    readonly text: string;
    readonly codes: readonly string[];
    readonly message: string;
  }): void;
  succeeded(one: { readonly key: string; readonly text: string }): void;
  describe(): string | undefined;
}

/** What the guard of this process knows of its sessions (session-guard.mjs). */
export interface Sessions {
  readonly failures: Failures;
  /** Starts anew, with what the text of a migration says that it expects. */
  expect(text: string): void;
}

export function ownSessions(): Sessions | undefined {
  return (globalThis as { [key: symbol]: unknown })[Symbol.for('holdfast.sessions')] as Sessions | undefined;
}

/** A query of a Prisma client, to be told once it ended. */
export interface PrismaQuery {
  readonly name: string;
  readonly args: readonly unknown[];
}

let count = 0;

/** Errors of the migration's own, thrown in a callback, are none of a query. */
export function tellFailed(failures: Failures | undefined, query: PrismaQuery, error: unknown): void {
  if (!(error instanceof Error)) return;
  const { code, meta } = error as Error & {
    code?: unknown;
    meta?: { code?: unknown; driverAdapterError?: { cause?: { originalCode?: unknown } } };
  };
  const all = [meta?.driverAdapterError?.cause?.originalCode, meta?.code, code];
  const codes = all.filter((one) => typeof one === 'string');
  if (codes.length === 0 && !error.name.startsWith('PrismaClient')) return;
  // A transaction that met another one is tried again as a whole; what else failed in it is not mended by the next one.
  const isOnce = query.name === '$transaction' && !codes.includes('P2034');
  const { text, key } = describeQuery(query);
  failures?.failed({ text, key: isOnce ? `${key} ${(count += 1)}` : key, codes, message: lastLine(error) });
}

export function tellSucceeded(failures: Failures | undefined, query: PrismaQuery): void {
  failures?.succeeded(describeQuery(query));
}

function describeQuery({ name, args }: PrismaQuery): { text: string; key: string } {
  const [first] = args;
  const isRaw = /^\$(?:query|execute)Raw/.test(name);
  const parts = (first as { strings?: readonly string[] } | undefined)?.strings ?? first;
  const text = isRaw
    ? Array.isArray(parts)
      ? parts.join('?')
      : String(parts)
    : (name.split('.').at(-1) ?? '');
  let values = '';
  try {
    values = JSON.stringify(args, (_, value: unknown) => (typeof value === 'bigint' ? `${value}n` : value));
  } catch {
    // What goes round in circles is told from others by its name.
  }
  return { text, key: `${name} ${values}` };
}

/** Prisma's errors show the call first, and say what was wrong last. */
function lastLine({ message }: Error): string {
  return message.trim().split('\n').at(-1) ?? '';
}
