import type { State } from './state.ts';

const migrationRow = 'row public._prisma_migrations';

/** Without what differs between two installations of one release: times, inodes, made-up ids, what is hashed with them. */
export function timeless(state: State): State {
  const left = new Set(['modified', 'inode', 'index']);
  // Times stand in the registry, whose content is compared by itself.
  const hashed = new Set(['bytes', 'size', 'data']);
  const told: [string, Record<string, string>][] = [...state].map(([name, properties]) => [
    name,
    Object.fromEntries(
      Object.entries(properties)
        .filter(([key]) => !left.has(key) && !(name.endsWith('registry.json') && hashed.has(key)))
        .map(([key, value]) => [key, withoutTimes(value)]),
    ),
  ]);
  // In the order of their ids, which mean nothing.
  const migrations = told
    .filter(([name]) => name.startsWith(migrationRow))
    .map(([, { values = '' }]) => values);
  return new Map([
    ...told.filter(([name]) => !name.startsWith(migrationRow)),
    [migrationRow, { values: migrations.toSorted().join('; ') }],
  ]);
}

function withoutTimes(value: string): string {
  return value
    .replaceAll(/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, 'ID')
    .replaceAll(/\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d[.\d]*(Z|\+00)?/g, 'TIME')
    .replaceAll(/"executionTimeMs":\d+/g, '"executionTimeMs":MS');
}
