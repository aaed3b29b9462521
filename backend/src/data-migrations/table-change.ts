import type { TableChange } from './dry-run.ts';
import { quote } from './identifiers.ts';

/** One line for people. */
export function describeChange({ table, inserted, updated, deleted }: TableChange): string {
  const parts = [
    [inserted, 'inserted'],
    [updated, 'updated'],
    [deleted, 'deleted'],
  ] as const;
  const said = parts.filter(([count]) => count > 0).map(([count, what]) => `${count} ${what}`);
  return `${quote.plain(table)}: ${said.join(', ')}`;
}
