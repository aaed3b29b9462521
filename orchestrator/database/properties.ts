import { HoldfastError, messageOf, Refusal } from '../lib/errors.ts';
import type { PostgresClient } from './client.ts';
import { quoteIdentifier, quoteLiteral } from './connection.ts';
import type { PostgresFacts } from './database-facts.ts';
import { compareProperties } from './facts.ts';

/* What belongs to a database and is in no dump: owner, grants, comment, connection limit, settings. */

/** Settings whose values are lists: PostgreSQL keeps them quoted already (variable_is_guc_list_quote in its sources). */
const listSettings = new Set([
  'local_preload_libraries',
  'search_path',
  'session_preload_libraries',
  'shared_preload_libraries',
  'temp_tablespaces',
  'unix_socket_directories',
]);

/** What gives a database the owner, grants, comment, limit and settings of another. */
export function propertyStatements(facts: PostgresFacts): string[] {
  const name = quoteIdentifier(facts.name);
  const comment = facts.comment === null ? 'null' : quoteLiteral(facts.comment);
  const statements = [
    `alter database ${name} owner to ${quoteIdentifier(facts.owner)};`,
    `alter database ${name} with connection limit ${facts.connectionLimit};`,
    `comment on database ${name} is ${comment};`,
  ];
  if (facts.grants !== null) {
    statements.push(
      `revoke all on database ${name} from public;`,
      `revoke all on database ${name} from ${quoteIdentifier(facts.owner)};`,
    );
    statements.push(...facts.grants.flatMap((grant) => grantStatements(name, grant)));
  }
  for (const { role, values } of facts.settings) {
    const whose =
      role === null ? `alter database ${name}` : `alter role ${quoteIdentifier(role)} in database ${name}`;
    for (const setting of values) {
      const at = setting.indexOf('=');
      const key = setting.slice(0, at);
      const value = setting.slice(at + 1);
      statements.push(
        `${whose} set ${quoteIdentifier(key)} to ${listSettings.has(key) ? value || "''" : quoteLiteral(value)};`,
      );
    }
  }
  return statements;
}

const privileges: Record<string, string> = { C: 'create', T: 'temporary', c: 'connect' };

/** An aclitem such as `app=CT*c/owner` as GRANT statements. */
function grantStatements(database: string, grant: string): string[] {
  const match = /^(.*)=([A-Za-z*]*)\/(.*)$/s.exec(grant);
  if (!match) throw new HoldfastError(`cannot read the grant "${grant}"`, { exitCode: 1 });
  const [, grantee = '', letters = ''] = match;
  const role = grantee === '' ? 'public' : grantee.startsWith('"') ? grantee : quoteIdentifier(grantee);
  return [...letters.matchAll(/([CTc])(\*?)/g)].map(
    ([, letter = '', option]) =>
      `grant ${privileges[letter]} on database ${database} to ${role}${option ? ' with grant option' : ''};`,
  );
}

/**
 * Does something on a copy of a database, and sees to it that the database itself is as before: SQL in the copy reaches it
 * by its name, as the same role. What was changed all the same is put back.
 *
 * @param database the live one; where it is shared, others may have changed it on purpose: told, and left
 * @param client the server's administrator
 * @throws Refusal if it was changed, with the work's own error as its cause
 */
export async function keepingProperties<T>(
  database: { readonly describeProperties: () => Promise<PostgresFacts>; readonly isShared: boolean },
  client: PostgresClient,
  work: () => Promise<T>,
): Promise<T> {
  const before = await database.describeProperties();
  const verify = async (cause?: unknown) => {
    const now = await database.describeProperties();
    const changes = compareProperties(before, now);
    if (changes.length === 0) return;
    const what = `what was tried on a copy changed the live database: ${changes.join('; ')}`;
    const left = database.isShared
      ? ['another environment works on it as well']
      : await putBack(client, before, now).then(
          async () => compareProperties(before, await database.describeProperties()),
          (error: unknown) => [messageOf(error)],
        );
    throw left.length === 0
      ? new Refusal(`${what}. It was put back`, 'send these lines to the vendor', cause)
      : new Refusal(
          `${what}. It could not be put back (${left.join('; ')})`,
          `as the server's administrator: ${propertyStatements(before).join(' ')} and send these lines to the vendor`,
          cause,
        );
  };
  let result: T;
  try {
    result = await work();
  } catch (error) {
    await verify(error);
    throw error;
  }
  await verify();
  return result;
}

/** Settings that came since go as well; grants that are as they were stay, in their order. */
async function putBack(client: PostgresClient, facts: PostgresFacts, now: PostgresFacts): Promise<void> {
  const grants = JSON.stringify(now.grants) === JSON.stringify(facts.grants) ? null : facts.grants;
  const name = quoteIdentifier(facts.name);
  const roles = await client.query<string[]>(
    `select coalesce(json_agg(pg_get_userbyid(s.setrole)), '[]') from pg_db_role_setting s
     join pg_database d on d.oid = s.setdatabase where d.datname = ${quoteLiteral(facts.name)} and s.setrole <> 0;`,
  );
  const resets = roles.map((role) => `alter role ${quoteIdentifier(role)} in database ${name} reset all;`);
  await client.execute(
    [`alter database ${name} reset all;`, ...resets, ...propertyStatements({ ...facts, grants })].join('\n'),
    { single: true },
  );
}
