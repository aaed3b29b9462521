import { NotRestoredError } from '../lib/errors.ts';
import type { PostgresClient } from './client.ts';
import { quoteIdentifier } from './connection.ts';
import type { Role } from './database-facts.ts';

/*
 * Roles belong to the server, not to a database: no dump holds them, and no swap takes them back. What a migration did
 * to them can only be told.
 */

export const rolesSql = `
select coalesce(json_agg(json_build_object('name', r.rolname, 'used', exists(
    select from pg_shdepend s, pg_database d
    where d.datname = current_database() and s.refclassid = 'pg_authid'::regclass and s.refobjid = r.oid
      and (s.dbid = d.oid or (s.dbid = 0 and s.classid = 'pg_database'::regclass and s.objid = d.oid))))
  order by r.rolname), '[]')
from pg_roles r where r.rolname !~ '^pg_'`;

/** The server's roles, and which of them this database's owner, objects and grants name. */
export async function readRoles(client: PostgresClient): Promise<Role[]> {
  return await client.query<Role[]>(`${rolesSql};`);
}

/** @throws NotRestoredError if one that the snapshot's database names is gone: a restore would fail half-way */
export async function verifyRolesExist(client: PostgresClient, roles: readonly Role[]): Promise<void> {
  const there = new Set((await readRoles(client)).map(({ name }) => name));
  const gone = roles.filter(({ name, used }) => used && !there.has(name)).map(({ name }) => name);
  if (gone.length === 0) return;
  throw new NotRestoredError(
    `the database of the snapshot names roles that are gone from the server: ${gone.join(', ')}`,
    {
      next: `as the server's administrator: ${gone.map((name) => `CREATE ROLE ${quoteIdentifier(name)};`).join(' ')} then ./run.sh recover`,
    },
  );
}

/** Roles that are on the server now and were not, each as a sentence. Older snapshots do not say which there were. */
export async function findRolesMadeSince(
  client: PostgresClient,
  before: readonly Role[] | undefined,
): Promise<string[]> {
  if (!before) return [];
  const known = new Set(before.map(({ name }) => name));
  const now = await readRoles(client);
  return now
    .map(({ name }) => name)
    .filter((name) => !known.has(name))
    .map(
      (role) =>
        `the role ${role} was made on the database server since the snapshot; roles belong to the server, and a restore leaves them: DROP ROLE ${quoteIdentifier(role)}; takes it away`,
    );
}
