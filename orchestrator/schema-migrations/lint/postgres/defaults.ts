import type { FuncCall, Node } from 'libpg-query';
import { findAll, namesOf } from './nodes.ts';

/** Functions that yield the same for every row of a statement, so that a new column's default is kept once, not written. */
const steady = new Set(
  `now transaction_timestamp statement_timestamp date_trunc date_part make_date make_timestamp make_timestamptz make_interval
   to_timestamp to_date timezone age justify_days
   lower upper initcap trim btrim ltrim rtrim concat concat_ws format replace substr substring left right length repeat
   md5 encode decode to_char to_hex quote_ident quote_literal
   abs ceil ceiling floor round trunc mod power sqrt greatest least coalesce nullif
   json_build_object json_build_array jsonb_build_object jsonb_build_array to_json to_jsonb row_to_json array_to_json
   array_fill array_append string_to_array cardinality current_setting current_schema current_user session_user`.split(
    /\s+/,
  ),
);

/** The function in a default that is, or may be, computed anew for every row; undefined where there is none. */
export function volatileFunction(expression: Node | undefined): string | undefined {
  return findAll(expression, ['FuncCall'])
    .map(({ node }) => namesOf((node as FuncCall).funcname).at(-1) ?? '')
    .find((name) => !steady.has(name));
}
