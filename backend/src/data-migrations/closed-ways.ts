import type { Client } from 'pg';
import { EXTENSIONS_OUT } from './way-out.ts';

interface Way {
  readonly name: string;
  readonly definition: string;
  readonly extension: string;
}

/**
 * Puts a function that raises an error in the place of each of those extensions', inside of the transaction
 * that is taken back: nobody else sees it, and it counts however the call is spelled, in functions and triggers as well.
 * To be called in that transaction.
 *
 * @returns the extensions whose functions this user may not replace
 */
export async function closeWays(client: Client): Promise<string[]> {
  const { rows } = await client.query<Way>(
    `SELECT p.proname::text AS name, pg_get_functiondef(p.oid) AS definition, e.extname::text AS extension
     FROM pg_proc p
       JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
       JOIN pg_extension e ON e.oid = d.refobjid
     WHERE p.prokind = 'f' AND e.extname = ANY ($1) AND pg_has_role(p.proowner, 'USAGE')`,
    [EXTENSIONS_OUT],
  );
  const closed = new Set<string>();
  for (const { name, definition, extension } of rows) {
    const head = definition.replace(/\n LANGUAGE c\b[\s\S]*$/, '');
    if (head === definition) continue;
    await client.query('SAVEPOINT holdfast_way');
    try {
      await client.query(`${head} LANGUAGE plpgsql AS $way$ BEGIN
        RAISE EXCEPTION 'it cannot be tried: it calls ${name}(), which reaches out of the session that a dry run takes back. Only a run for real does it';
      END $way$`);
      closed.add(extension);
    } catch {
      // Types that only the server's own languages take, or rights that are not there.
      await client.query('ROLLBACK TO SAVEPOINT holdfast_way');
    }
    await client.query('RELEASE SAVEPOINT holdfast_way');
  }
  const { rows: there } = await client.query<{ name: string }>(
    'SELECT extname::text AS name FROM pg_extension WHERE extname = ANY ($1)',
    [EXTENSIONS_OUT],
  );
  return there.map(({ name }) => name).filter((name) => !closed.has(name));
}
