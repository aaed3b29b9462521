import { describeError, EXIT, Refusal } from './refusal.ts';

export type Status = 'success' | 'not-needed' | 'skipped' | 'failed';

/** One line of history. */
export interface Entry {
  readonly id: string;
  readonly appliedAt: string;
  readonly executionTimeMs: number;
  readonly status: Status;
}

/** What this appliance remembers of its data migrations; a value, replaced and never changed. */
export interface Registry {
  readonly migrations: readonly Entry[];
}

const STATUSES: readonly Status[] = ['success', 'not-needed', 'skipped', 'failed'];

/**
 * Reads the text of `registry.json`.
 *
 * A registry that cannot be understood is never taken for an empty one: every migration would run again, on data that
 * has long been changed.
 *
 * @param where the path, for the message
 * @throws Refusal with exit 2, what is wrong and how to go on.
 */
export function parseRegistry(text: string, where: string): Registry {
  const problem = (reason: string): Refusal =>
    new Refusal(
      EXIT.refused,
      `cannot read the registry ${where}: ${reason}. Nothing was run. Bring it back from a backup, or correct it to {"migrations":[{"id","appliedAt","executionTimeMs","status"}]}. Do not delete it, unless the database remembers what was applied: then it is rebuilt`,
    );
  let value: unknown;
  try {
    // Some editors begin a file with a mark of its encoding.
    value = JSON.parse(text.replace(/^\uFEFF/, ''));
  } catch (error) {
    throw problem(text.trim() === '' ? 'it is empty' : `it is not JSON: ${describeError(error)}`);
  }
  const migrations = isRecord(value) ? value['migrations'] : undefined;
  if (!Array.isArray(migrations)) throw problem('it has no list "migrations"');
  const entries = new Map<string, Entry>();
  for (const [index, item] of migrations.entries()) {
    const entry = parseEntry(item);
    if (typeof entry === 'string') throw problem(`migrations[${index}] ${entry}`);
    if (entries.has(entry.id)) {
      throw problem(`migrations[${index}] repeats the id "${entry.id}"`);
    }
    entries.set(entry.id, entry);
  }
  return { migrations: [...entries.values()] };
}

/** The entry, or what is wrong with it. */
function parseEntry(item: unknown): Entry | string {
  if (!isRecord(item)) return 'is not an object';
  const { id, appliedAt, executionTimeMs, status } = item;
  if (typeof id !== 'string' || id === '') return 'has no "id"';
  if (id.includes('\0')) return 'has a NUL in its "id", which no database takes';
  if (typeof appliedAt !== 'string' || Number.isNaN(Date.parse(appliedAt))) {
    return `("${id}") has no date in "appliedAt"`;
  }
  if (typeof executionTimeMs !== 'number' || !(executionTimeMs >= 0 && executionTimeMs < 2 ** 53)) {
    return `("${id}") has no duration in "executionTimeMs"`;
  }
  const known = STATUSES.find((candidate) => candidate === status);
  if (known === undefined) return `("${id}") has the unknown "status" ${JSON.stringify(status)}`;
  return { id, appliedAt, executionTimeMs, status: known };
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The text of a registry, as it is documented: four properties an entry, two spaces, a newline at the end. */
export function formatRegistry(registry: Registry): string {
  return `${JSON.stringify(registry, null, 2)}\n`;
}
