import type { SqliteFacts } from '../database-facts.ts';

/** What belongs to the file itself, and to whom. */
export function compareSqliteProperties(before: SqliteFacts, after: SqliteFacts): string[] {
  const differences: string[] = [];
  const octal = (mode: number) => mode.toString(8);
  if (before.mode !== after.mode)
    differences.push(`database file: mode ${octal(before.mode)} became ${octal(after.mode)}`);
  if (before.uid !== after.uid || before.gid !== after.gid)
    differences.push(`database file: owner ${before.uid}:${before.gid} became ${after.uid}:${after.gid}`);
  return [...differences, ...compareHeader(before, after)];
}

/** What stands in the file's header, and rows that refer to none. The tables are compared for every engine alike. */
export function compareSqliteContents(before: SqliteFacts, after: SqliteFacts): string[] {
  const broken = (facts: SqliteFacts) => JSON.stringify(facts.brokenReferences);
  return [
    ...compareHeader(before, after),
    ...(broken(before) === broken(after)
      ? []
      : [`rows that refer to none: ${broken(before)} became ${broken(after)}`]),
  ];
}

function compareHeader(before: SqliteFacts, after: SqliteFacts): string[] {
  const keys = ['pageSize', 'encoding', 'autoVacuum', 'userVersion', 'applicationId', 'journalMode'] as const;
  return keys
    .filter((key) => before[key] !== after[key])
    .map((key) => `database ${key}: ${before[key]} became ${after[key]}`);
}
