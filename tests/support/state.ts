/** A thing by its name ("file data/a.txt", "row public.entries (3)") with its properties. */
export type State = ReadonlyMap<string, Readonly<Record<string, string>>>;

/** Several states as one. Names of different kinds do not meet. */
export function joinStates(...states: readonly State[]): State {
  return new Map(states.flatMap((state) => [...state]));
}

/** Every difference between two states as one line that names it; empty when all is exactly as before. */
export function differences(before: State, after: State): string[] {
  const found: string[] = [];
  for (const [name, was] of before) {
    const is = after.get(name);
    if (!is) {
      found.push(`${name} is gone`);
      continue;
    }
    for (const key of new Set([...Object.keys(was), ...Object.keys(is)])) {
      if (was[key] !== is[key])
        found.push(`${name}: ${key} was ${was[key] ?? 'unset'}, is ${is[key] ?? 'unset'}`);
    }
  }
  for (const name of after.keys()) if (!before.has(name)) found.push(`${name} was added`);
  return found;
}

/** What `mismatches` finds where all is as expected. */
export const noMismatch = { unexpected: [], missing: [] };

/** Which differences were not expected, and which expected ones are not there; each is given by its beginning. */
export function mismatches(found: readonly string[], expected: readonly string[]) {
  return {
    unexpected: found.filter((line) => !expected.some((beginning) => line.startsWith(beginning))),
    missing: expected.filter((beginning) => !found.some((line) => line.startsWith(beginning))),
  };
}
