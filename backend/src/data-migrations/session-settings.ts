import type { ClientBase } from 'pg';
import { quote } from './identifiers.ts';

/** The schema that Prisma's own parameter of the URL names (`?schema=app`); pg does not know it. */
export function schemaOf(url: string): string | undefined {
  return new URL(url).searchParams.get('schema') || undefined;
}

/**
 * What holds on every session that a migration's statements go through: the tables are those of the URL's schema, as for
 * `prisma migrate`; and where row-level security would hide rows, PostgreSQL refuses the statement instead of leaving
 * them out, as it does for pg_dump. May be run twice.
 */
export async function settleSession(client: ClientBase, url: string): Promise<void> {
  const schema = schemaOf(url);
  const path = schema === undefined ? '' : `; SET search_path TO ${quote.name(schema)}`;
  await client.query(`SET row_security = off${path}`);
}
