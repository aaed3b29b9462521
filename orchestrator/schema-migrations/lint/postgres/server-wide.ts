import type { FuncCall, Node } from 'libpg-query';
import { findAll, namesOf } from './nodes.ts';
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
  // Of what the role has in common with other databases, too: these themselves, and the rights to them.
  ...['ReassignOwnedStmt', 'DropOwnedStmt'],
]);

/** What they take away no snapshot brings back. */
const forGood = new Set(['DropdbStmt', 'DropTableSpaceStmt', 'DropSubscriptionStmt']);

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
          .replace(/db$/, 'Database')
          .replaceAll(/(?<=[a-z])[A-Z]/g, ' $&')
          .toUpperCase()})`,
        forGood.has(kind) ? { severity: 'error', destructive: true } : {},
      );
  for (const name of calledIn(node))
    if (ofServer.test(name))
      review.report('server-wide', line, `calls ${name}(), which the whole server feels`);
}

/** Functions that end sessions, or work on the server's settings, log and replication. */
const ofServer = new RegExp(
  `^(?:${[
    'pg_(?:terminate|cancel)_backend|pg_reload_conf|pg_rotate_logfile(?:_old)?|pg_promote',
    'pg_(?:create|copy|drop|sync)_\\w*replication_slots?|pg_replication_slot_advance',
    'pg_logical_slot_get_(?:binary_)?changes|pg_replication_origin_(?:create|drop|advance)',
    'pg_switch_(?:wal|xlog)|pg_create_restore_point|pg_wal_replay_(?:pause|resume)|pg_backup_(?:start|stop)',
    'pg_(?:start|stop)_backup',
  ].join('|')})$`,
);

/** Functions that write to another database or to the server's files, or read these. */
const reachingOut = new Set(
  `dblink dblink_connect dblink_connect_u dblink_open dblink_fetch dblink_exec dblink_send_query
   lo_import lo_export pg_file_write pg_file_rename pg_file_unlink pg_file_sync pg_read_file pg_read_binary_file`.split(
    /\s+/,
  ),
);

/** What a statement does to files of the server, to programs on it and to other databases. */
export function reviewOutside(review: Review, node: Node, line: number): void {
  if ('CopyStmt' in node) {
    const { filename, is_program: isProgram } = node.CopyStmt;
    if (isProgram) review.report('outside-database', line, 'runs a program on the server (COPY ... PROGRAM)');
    else if (filename !== undefined)
      review.report('outside-database', line, `works on the server's file ${filename} (COPY)`);
  }
  for (const name of calledIn(node))
    if (reachingOut.has(name))
      review.report('outside-database', line, `calls ${name}(), which works outside of this database`, {
        destructive: name === 'dblink_exec',
      });
}

const calledIn = (node: Node) =>
  findAll(node, ['FuncCall']).map(({ node: call }) => namesOf((call as FuncCall).funcname).at(-1) ?? '');
