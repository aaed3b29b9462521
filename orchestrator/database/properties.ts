import { HoldfastError } from '../lib/errors.ts';
import type { PostgresClient } from './client.ts';
import { quoteIdentifier, quoteLiteral } from './connection.ts';
import type { PostgresFacts } from './database-facts.ts';

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
 * Makes a database's properties those of before, all at once. Settings that came since go as well; grants that are as they
 * were stay, in their order.
 *
 * @param client the server's administrator
 */
export const puttingBack =
  (client: PostgresClient) =>
  async (before: PostgresFacts, now: PostgresFacts): Promise<void> => {
    const name = quoteIdentifier(before.name);
    const isSame = JSON.stringify(now.grants) === JSON.stringify(before.grants);
    const resets = now.settings.flatMap(({ role }) =>
      role === null ? [] : [`alter role ${quoteIdentifier(role)} in database ${name} reset all;`],
    );
    const statements = propertyStatements(isSame ? { ...before, grants: null } : before);
    await client.execute([`alter database ${name} reset all;`, ...resets, ...statements].join('\n'), {
      single: true,
    });
  };
