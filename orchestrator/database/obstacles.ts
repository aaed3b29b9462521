import { Refusal } from '../lib/errors.ts';
import type { PostgresClient } from './client.ts';
import { quoteIdentifier } from './connection.ts';

/** What may stand in the way of a restore, as the server itself tells it. */
interface Obstacles {
  readonly user: string;
  readonly mayCreate: boolean;
  readonly isOwner: boolean;
  readonly prepared: readonly string[];
  readonly slots: readonly string[];
  readonly subscriptions: readonly string[];
  readonly unlogged: readonly string[];
  /** Owners of objects whose roles we do not have. */
  readonly foreignOwners: readonly string[];
  /** Sessions that we may not end, each described. */
  readonly foreignSessions: readonly string[];
}

const list = (query: string) => `coalesce((select json_agg(x order by x) from (${query}) as found(x)), '[]')`;

const obstaclesSql = `
select json_build_object(
  'user', current_user,
  'mayCreate', (select rolcreatedb or rolsuper from pg_roles where rolname = current_user),
  'isOwner', (select pg_has_role(current_user, datdba, 'member') from pg_database where datname = current_database()),
  'prepared', ${list('select gid from pg_prepared_xacts where database = current_database()')},
  'slots', ${list('select slot_name::text from pg_replication_slots where database = current_database()')},
  'subscriptions', ${list(`select p.subname::text from pg_subscription p
     where p.subdbid = (select oid from pg_database where datname = current_database())`)},
  'unlogged', ${list("select c.oid::regclass::text from pg_class c where c.relkind = 'r' and c.relpersistence = 'u'")},
  'foreignOwners', ${list(`select distinct pg_get_userbyid(s.refobjid)::text from pg_shdepend s
     where s.dbid = (select oid from pg_database where datname = current_database()) and s.deptype = 'o'
       and s.refclassid = 'pg_authid'::regclass and not pg_has_role(current_user, s.refobjid, 'member')`)},
  'foreignSessions', ${list(`select format('%s of "%s" (process %s, since %s)',
       coalesce(nullif(a.application_name, ''), 'a session'), a.usename, a.pid, to_char(a.backend_start, 'YYYY-MM-DD HH24:MI'))
     from pg_stat_activity a join pg_roles r on r.oid = a.usesysid
     where a.datname = current_database() and a.pid <> pg_backend_pid()
       and not (select rolsuper from pg_roles where rolname = current_user)
       and (r.rolsuper or not (pg_has_role(current_user, r.oid, 'member') or pg_has_role(current_user, 'pg_signal_backend', 'member')))`)});`;

/**
 * Looks for what would break a restore, or what a restore would not bring back.
 *
 * @param inDatabase connected to the database
 * @throws Refusal that names it, with the statement that takes it away
 */
export async function verifyNoObstacles(inDatabase: PostgresClient, name: string): Promise<void> {
  const found = await inDatabase.query<Obstacles>(obstaclesSql);
  for (const { is, why, next } of refusalsFor(found, name)) {
    if (is) throw new Refusal(`cannot prove the way back: ${why}`, next);
  }
}

const administrator = "as the server's administrator:";

function refusalsFor(found: Obstacles, name: string): { is: boolean; why: string; next: string }[] {
  const user = quoteIdentifier(found.user);
  const database = quoteIdentifier(name);
  const named = (names: readonly string[]) => names.join(', ');
  const each = (names: readonly string[], statement: (one: string) => string) =>
    names.map(statement).join(' ');
  return [
    {
      is: !found.mayCreate,
      why: `the database user ${user} may not create databases, and a restore makes one`,
      next: `${administrator} ALTER ROLE ${user} CREATEDB;  (or name such a user in database.adminUrl)`,
    },
    {
      is: !found.isOwner,
      why: `${user} does not own the database ${database} and could not rename it`,
      next: `${administrator} ALTER DATABASE ${database} OWNER TO ${user};  (or name a superuser in database.adminUrl)`,
    },
    {
      is: found.prepared.length > 0,
      why: `prepared transactions are open and would block the restore: ${named(found.prepared)}`,
      next: `commit or roll them back: ${each(found.prepared, (gid) => `ROLLBACK PREPARED '${gid.replaceAll("'", "''")}';`)}`,
    },
    {
      is: found.slots.length > 0,
      why: `logical replication slots would follow the failed database: ${named(found.slots)}`,
      next: `drop them before the update: ${each(found.slots, (slot) => `SELECT pg_drop_replication_slot('${slot}');`)}`,
    },
    {
      is: found.subscriptions.length > 0,
      why: `subscriptions belong to the database and are not restored: ${named(found.subscriptions)}`,
      next: `drop them before the update: ${each(found.subscriptions, (one) => `DROP SUBSCRIPTION ${quoteIdentifier(one)};`)}`,
    },
    {
      is: found.unlogged.length > 0,
      why: `unlogged tables are empty after a crash: ${named(found.unlogged)}`,
      next: each(found.unlogged, (table) => `ALTER TABLE ${table} SET LOGGED;`),
    },
    {
      is: found.foreignOwners.length > 0,
      why: `${user} is not a member of roles that own something in the database, and could not give it back to them: ${named(found.foreignOwners)}`,
      next: `${administrator} ${each(found.foreignOwners, (role) => `GRANT ${quoteIdentifier(role)} TO ${user};`)}  (or name a superuser in database.adminUrl)`,
    },
    {
      is: found.foreignSessions.length > 0,
      why: `sessions are open on the database that ${user} may not end, and it cannot be renamed under them: ${named(found.foreignSessions)}`,
      next: 'end them, or name a superuser in database.adminUrl',
    },
  ];
}
