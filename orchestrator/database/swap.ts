import { createHash } from 'node:crypto';
import type { PostgresClient } from './client.ts';
import { quoteIdentifier, quoteLiteral } from './connection.ts';
import type { PostgresFacts } from './database-facts.ts';
import type { KeepSetAside, Replacement } from './engine.ts';
import { propertyStatements } from './properties.ts';
import { endSessionsSql } from './sessions.ts';

/*
 * The swap: what was live gets another name, the replacement gets the live one's, and everything that belongs to a
 * database but is not in a dump goes with it. One transaction does all of it (measured: renames, owner, grants,
 * comment, limit and settings are all transactional), so there is no instant at which half of it is true.
 */

const setAsidePrefix = 'hf_old_';
const newPrefix = 'hf_new_';

/**
 * What tells the databases of a run from those of another appliance on the same server.
 *
 * @param runId digits and hyphens only
 */
export function markOf(database: string, runId: string): string {
  return `${createHash('sha256').update(database).digest('hex').slice(0, 6)}-${runId}`;
}

/** Names that we give. */
export const setAsideName = (mark: string) => `${setAsidePrefix}${mark.replaceAll('-', '_')}`;
export const replacementName = (mark: string) => `${newPrefix}${mark.replaceAll('-', '_')}`;

/** What must stay, of the databases that bear names of ours. */
export interface KeepAside {
  /** Marks of runs whose databases stay. */
  readonly marks: readonly string[];
  /** Databases that a snapshot or an open run names. */
  readonly oids: readonly number[];
}

/**
 * Databases of this appliance that restores set aside or that killed ones left half-made, but those to keep.
 *
 * What was set aside bears our comment. A new one may have been killed between its making and its comment: its name
 * says whose it is.
 */
export async function findSetAside(
  client: PostgresClient,
  liveName: string,
  keep: KeepAside,
): Promise<{ name: string; sizeBytes: number }[]> {
  const found = await client.query<{ name: string; oid: number; mark: string | null; sizeBytes: number }[]>(
    `select coalesce(json_agg(json_build_object('name', datname, 'oid', oid::bigint,
         'mark', split_part(note, ':', 3), 'sizeBytes', pg_database_size(oid))), '[]')
     from (select datname, oid, shobj_description(oid, 'pg_database') as note from pg_database) d
     where ((datname like 'hf\\_old\\_%' or datname like 'hf\\_unknown\\_%')
         and note like 'holdfast:old:%' and split_part(note, ':', 4) = ${quoteLiteral(liveName)})
       or starts_with(datname, ${quoteLiteral(replacementName(markOf(liveName, '')))});`,
  );
  const kept = keep.marks.map(setAsideName);
  return found.filter(({ name, oid, mark }) => {
    if (name.startsWith('hf_unknown_')) return !keep.marks.includes(mark ?? '') && !keep.oids.includes(oid);
    // A run may have set two aside: a rollback that failed and was taken back.
    return !kept.some((prefix) => name.startsWith(prefix));
  });
}

export function keepOf(database: string, keep: KeepSetAside): KeepAside {
  return {
    marks: keep.runs.flatMap((run) => [markOf(database, run), markOf(database, `${run}-back`)]),
    oids: keep.oids,
  };
}

export async function dropDatabase(client: PostgresClient, name: string): Promise<void> {
  await client.execute(`drop database if exists ${quoteIdentifier(name)} with (force);`);
}

/** Drops them. May be run twice. */
export async function dropSetAside(client: PostgresClient, liveName: string, keep: KeepAside): Promise<void> {
  for (const { name } of await findSetAside(client, liveName, keep)) await dropDatabase(client, name);
}

/** How a new database gets the encoding, locale and tablespace of another. */
function localeClauses(facts: PostgresFacts): string {
  const { localeProvider, locale } = facts;
  return [
    `encoding ${quoteLiteral(facts.encoding)} lc_collate ${quoteLiteral(facts.collate)} lc_ctype ${quoteLiteral(facts.ctype)}`,
    localeProvider === 'libc' ? '' : `locale_provider ${localeProvider}`,
    localeProvider === 'libc' || locale === null
      ? ''
      : `${localeProvider === 'icu' ? 'icu_locale' : 'builtin_locale'} ${quoteLiteral(locale)}`,
    // To name the default one takes a right on it that an ordinary owner does not have.
    facts.tablespace === 'pg_default' ? '' : `tablespace ${quoteIdentifier(facts.tablespace)}`,
  ].join(' ');
}

/** An empty database with the live one's locale, marked as ours. A half-made one is dropped first. */
export async function createReplacement(
  client: PostgresClient,
  facts: PostgresFacts,
  mark: string,
): Promise<Replacement> {
  const name = replacementName(mark);
  const oids = await client.query<{ live: number | null; replacement: number }>(
    `drop database if exists ${quoteIdentifier(name)} with (force);
     create database ${quoteIdentifier(name)} template template0 ${localeClauses(facts)};
     comment on database ${quoteIdentifier(name)} is ${quoteLiteral(`holdfast:new:${mark}`)};
     select json_build_object(
       'live', (select oid::bigint from pg_database where datname = ${quoteLiteral(facts.name)}),
       'replacement', (select oid::bigint from pg_database where datname = ${quoteLiteral(name)}));`,
    { timeoutMs: 600_000 },
  );
  // 0 is no database: the live one is gone, and there is nothing to set aside.
  return { live: oids.live ?? 0, replacement: oids.replacement };
}

/**
 * Swaps by OID. Done already is no error; a database that is not the one we knew under the live name is moved aside,
 * not adopted.
 *
 * @param standIn the name that the live database goes by inside the window, where that is the fence
 */
export async function swapDatabases(
  client: PostgresClient,
  pair: Replacement,
  facts: PostgresFacts,
  mark: string,
  standIn: string | undefined,
): Promise<void> {
  const now = await findNames(client, pair, facts.name);
  if (now.replacement === null) throw new Error('the restored copy of the database is gone from the server');
  if (now.holder === pair.replacement) {
    await reopen(client, facts.name);
    return;
  }
  const label = quoteLiteral(`holdfast:old:${mark}:${facts.name}`);
  const statements: string[] = ['begin;'];
  if (now.holder !== null) {
    const aside = quoteIdentifier(now.holder === pair.live ? setAsideName(mark) : `hf_unknown_${now.holder}`);
    await closeToClients(client, facts.name);
    statements.push(`alter database ${quoteIdentifier(facts.name)} rename to ${aside};`);
    statements.push(`comment on database ${aside} is ${label};`);
  }
  if (standIn !== undefined) statements.push(`comment on database ${quoteIdentifier(standIn)} is ${label};`);
  const name = quoteIdentifier(facts.name);
  statements.push(`alter database ${quoteIdentifier(now.replacement)} rename to ${name};`);
  statements.push(
    ...propertyStatements(facts),
    `alter database ${name} with allow_connections true;`,
    'commit;',
  );
  await closeToClients(client, now.replacement);
  try {
    await client.execute(statements.join('\n'));
  } catch (error) {
    await reopen(client, facts.name);
    throw error;
  }
}

/** Under which name the replacement is, and which database has the live name; null for none. */
export async function findNames(
  client: PostgresClient,
  pair: Replacement,
  liveName: string,
): Promise<{ replacement: string | null; holder: number | null }> {
  return await client.query(
    `select json_build_object(
       'replacement', (select datname from pg_database where oid = ${pair.replacement}),
       'holder', (select oid::bigint from pg_database where datname = ${quoteLiteral(liveName)}));`,
  );
}

/** Nobody gets in any more, and who is in is ended: a rename wants no session on the database. */
async function closeToClients(client: PostgresClient, name: string): Promise<void> {
  await client.execute(
    `alter database ${quoteIdentifier(name)} with allow_connections false; ${endSessionsSql(name)}`,
  );
}

/** Lets clients in to the database of that name, if there is one. */
export async function reopen(client: PostgresClient, name: string): Promise<void> {
  const closed = await client.query<boolean>(
    `select to_json(exists(select from pg_database where datname = ${quoteLiteral(name)} and not datallowconn));`,
  );
  if (closed) await client.execute(`alter database ${quoteIdentifier(name)} with allow_connections true;`);
}
