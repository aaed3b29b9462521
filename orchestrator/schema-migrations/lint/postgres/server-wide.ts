import type { Node } from 'libpg-query';
import type { Review } from './review.ts';

/** Statements whose work lies outside of any database, by the name that the grammar has for them. */
const always = new Set([
  ...[
    'AlterDatabaseStmt',
    'AlterDatabaseSetStmt',
    'AlterDatabaseRefreshCollStmt',
    'CreatedbStmt',
    'DropdbStmt',
  ],
  ...[
    'CreateRoleStmt',
    'AlterRoleStmt',
    'AlterRoleSetStmt',
    'DropRoleStmt',
    'GrantRoleStmt',
    'AlterSystemStmt',
  ],
  ...['CreateTableSpaceStmt', 'DropTableSpaceStmt', 'AlterTableSpaceOptionsStmt'],
  ...['CreateSubscriptionStmt', 'AlterSubscriptionStmt', 'DropSubscriptionStmt'],
]);

/** Statements of which it depends on what they are about. */
const aboutWhat = ['objtype', 'objectType', 'renameType'] as const;
const outside = new Set(['OBJECT_DATABASE', 'OBJECT_ROLE', 'OBJECT_TABLESPACE', 'OBJECT_SUBSCRIPTION']);

/** What a statement does to the server: a copy of the database shares it with the live one, and a dump does not hold it. */
export function reviewServerWide(review: Review, node: Node, line: number): void {
  for (const [kind, statement] of Object.entries(node) as [string, Readonly<Record<string, unknown>>][])
    if (always.has(kind) || aboutWhat.some((key) => outside.has(String(statement[key]))))
      review.report(
        'server-wide',
        line,
        `changes the server, not this database alone (${kind
          .replace(/Stmt$/, '')
          .replaceAll(/(?<=[a-z])[A-Z]/g, ' $&')
          .toUpperCase()})`,
      );
}
