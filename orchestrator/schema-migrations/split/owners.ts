import { findAll, keyOf, keyOfNames, namesOf } from '../lint/postgres/nodes.ts';
import { parsePostgres } from '../lint/postgres/parse.ts';
import type { Node, RangeVar } from 'libpg-query';

/** To which table of a database that is there its indexes, sequences and foreign keys belong; all by their keys. */
export interface Owners {
  /** Undefined where it is not known. */
  tableOf(indexOrSequence: string): string | undefined;
  namesOf(table: string): string[];
  /** The table that a foreign key leads to; undefined where it is none. */
  referredBy(table: string, constraint: string): string | undefined;
}

/** @param schema what pg_dump writes of it */
export function readOwners(schema: string): Owners {
  const tables = new Map<string, string>();
  const referred = new Map<string, string>();
  for (const { node } of parsePostgres(schema).statements) {
    if ('IndexStmt' in node) {
      const { relation, idxname = '' } = node.IndexStmt;
      tables.set(inSchemaOf(relation, idxname), keyOf(relation));
    }
    if ('AlterTableStmt' in node) {
      const { relation } = node.AlterTableStmt;
      for (const found of findAll(node, ['Constraint'])) {
        const { conname = '', pktable } = found.node as { conname?: string; pktable?: RangeVar };
        if (pktable) referred.set(`${keyOf(relation)} ${conname}`, keyOf(pktable));
        else tables.set(inSchemaOf(relation, conname), keyOf(relation));
      }
    }
    if ('AlterSeqStmt' in node)
      for (const { node: arg } of findAll(node, ['arg'])) {
        const names =
          'List' in (arg as Node) ? namesOf((arg as { List: { items?: Node[] } }).List.items) : [];
        if (names.length > 1) tables.set(keyOf(node.AlterSeqStmt.sequence), keyOfNames(names.slice(0, -1)));
      }
  }
  return {
    tableOf: (name) => tables.get(name),
    namesOf: (table) => [...tables].filter(([, owner]) => owner === table).map(([name]) => name),
    referredBy: (table, constraint) => referred.get(`${table} ${constraint}`),
  };
}

const inSchemaOf = (relation: RangeVar | undefined, name: string) => keyOf({ ...relation, relname: name });
