import type { PostgresClient } from './client.ts';
import { quoteLiteral } from './connection.ts';
import type { TableDescription } from './engine.ts';

/** Columns, indexes and constraints as PostgreSQL writes them. */
export async function describeTable(
  client: PostgresClient,
  schema: string,
  name: string,
): Promise<TableDescription | undefined> {
  const found = await client.query<TableDescription | null>(`
select json_build_object(
  'columns', (select json_agg(json_build_object('name', a.attname, 'type', format_type(a.atttypid, a.atttypmod),
      'nullable', not a.attnotnull, 'default', pg_get_expr(d.adbin, d.adrelid)) order by a.attnum)
    from pg_attribute a left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
    where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped),
  'indexes', (select coalesce(json_agg(json_build_object('definition', pg_get_indexdef(i.indexrelid),
      'bytes', pg_relation_size(i.indexrelid)) order by i.indexrelid), '[]') from pg_index i where i.indrelid = c.oid),
  'constraints', (select coalesce(json_agg(json_build_object('name', conname, 'definition', pg_get_constraintdef(k.oid))
      order by conname), '[]') from pg_constraint k where k.conrelid = c.oid))
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where n.nspname = ${quoteLiteral(schema)} and c.relname = ${quoteLiteral(name)} and c.relkind in ('r', 'p');`);
  return found ?? undefined;
}
