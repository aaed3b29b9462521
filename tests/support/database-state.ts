import { join } from 'node:path';
import { execa } from 'execa';
import { Client } from 'pg';
import { findPostgresBinaries } from '../../orchestrator/database/binaries.ts';
import type { State } from './state.ts';

type Properties = Record<string, string>;

/** Everything of a database: definitions, rows, sequences, and what belongs to it but stands in no dump. */
export async function captureDatabase(url: string): Promise<State> {
  const state = new Map<string, Properties>();
  await captureSchema(url, state);
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    await captureProperties(client, state);
    await captureRows(client, state);
    await captureSequences(client, state);
    await captureLargeObjects(client, state);
  } finally {
    await client.end();
  }
  return state;
}

/** The text of `pg_dump --schema-only`, object by object, so that a difference has a name. */
async function captureSchema(url: string, state: Map<string, Properties>): Promise<void> {
  const bin = findPostgresBinaries(['pg_dump']) ?? '';
  const { stdout } = await execa(join(bin, 'pg_dump'), ['--schema-only', `--dbname=${url}`]);
  const parts = stdout.split(/^--\n-- Name: /m).slice(1);
  for (const part of parts) {
    const [title = '', ...body] = part.split('\n');
    const match = /^(.*); Type: (.*); Schema: (.*); Owner: (.*)$/.exec(title);
    const name = match ? `${match[2]} ${match[3]}.${match[1]}` : title;
    // Newer versions of pg_dump wrap the whole in a line with a random key.
    const text = body.filter((line) => line !== '' && !/^(--|\\(un)?restrict)/.test(line)).join(' ');
    state.set(`schema ${name}`, { definition: text, owner: match?.[4] ?? '' });
  }
}

async function captureProperties(client: Client, state: Map<string, Properties>): Promise<void> {
  const { rows } = await client.query<Properties>(`
    select pg_get_userbyid(datdba) as owner, datacl::text as grants, datconnlimit::text as limit,
      shobj_description(oid, 'pg_database') as comment, datcollate as collate, datctype as ctype,
      pg_encoding_to_char(encoding) as encoding, datallowconn::text as open, datname as name,
      datistemplate::text as template,
      (select spcname from pg_tablespace t where t.oid = d.dattablespace) as tablespace,
      (select string_agg(coalesce(r.rolname, '') || ':' || array_to_string(setconfig, ','), ';' order by r.rolname)
        from pg_db_role_setting left join pg_roles r on r.oid = setrole where setdatabase = d.oid) as settings
    from pg_database d where datname = current_database()`);
  state.set('database', textOnly(rows[0] ?? {}));
  const extensions = await client.query<{ extname: string; extversion: string }>(
    'select extname, extversion from pg_extension',
  );
  for (const { extname, extversion } of extensions.rows)
    state.set(`extension ${extname}`, { version: extversion });
  // What a restore sets aside (hf_*) is kept for whoever looks into the failure.
  const others = await client.query<{ name: string }>(
    "select datname as name from pg_database where datname not like 'hf\\_%' and datname <> current_database()",
  );
  for (const { name } of others.rows) state.set(`other database ${name}`, {});
}

async function captureRows(client: Client, state: Map<string, Properties>): Promise<void> {
  const tables = await client.query<{ name: string; quoted: string; key: string | null }>(`
    select n.nspname || '.' || c.relname as name, c.oid::regclass::text as quoted,
      (select string_agg(quote_ident(a.attname), ', ' order by array_position(i.indkey::int2[], a.attnum))
        from pg_index i join pg_attribute a on a.attrelid = i.indrelid and a.attnum = any (i.indkey)
        where i.indrelid = c.oid and i.indisprimary) as key
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where c.relkind in ('r', 'm') and n.nspname not in ('pg_catalog', 'information_schema')
      and (c.relkind = 'r' or c.relispopulated) order by 1`);
  for (const { name, quoted, key } of tables.rows) {
    const { rows } = await client.query<{ row: string }>(
      `select t::text as row from ${quoted} t order by ${key ?? 't::text'}`,
    );
    rows.forEach(({ row }, index) => state.set(`row ${name} (${index + 1})`, { values: row }));
  }
}

async function captureSequences(client: Client, state: Map<string, Properties>): Promise<void> {
  const { rows } = await client.query<{ name: string }>(
    "select oid::regclass::text as name from pg_class where relkind = 'S' order by 1",
  );
  for (const { name } of rows) {
    const values = await client.query<Properties>(
      `select last_value::text as last, is_called::text as called from ${name}`,
    );
    state.set(`sequence ${name}`, values.rows[0] ?? {});
  }
}

/** They stand in no table of the appliance's own, and in no dump of its schema. */
async function captureLargeObjects(client: Client, state: Map<string, Properties>): Promise<void> {
  const { rows } = await client.query<Record<string, string | null>>(`
    select oid::text as oid, pg_get_userbyid(lomowner) as owner, lomacl::text as grants,
      obj_description(oid, 'pg_largeobject') as comment, md5(lo_get(oid)) as bytes
    from pg_largeobject_metadata`);
  for (const { oid, ...properties } of rows) state.set(`large object ${oid}`, textOnly(properties));
}

function textOnly(row: Readonly<Record<string, string | null>>): Properties {
  return Object.fromEntries(Object.entries(row).map(([key, value]) => [key, value ?? 'none']));
}
