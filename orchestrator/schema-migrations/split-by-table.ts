import { namesOf, keyOf, keyOfNames, typeOf } from './lint/postgres/nodes.ts';
import { parsePostgres, type Statement } from './lint/postgres/parse.ts';

/** A migration to be written: its name without the time, and its SQL. */
export interface NewMigration {
  readonly name: string;
  readonly sql: string;
}

/**
 * Takes a script of Prisma's apart: one migration a table, `create_`, `update_` or `drop_`, in an order in which each
 * finds what it refers to. Types go with the first table that uses them; a foreign key to a table that comes later
 * gets an `update_` of its own at the end.
 *
 * @param sql as `prisma migrate diff --script` writes it; `loadGrammar` comes before
 */
export function splitByTable(sql: string): NewMigration[] {
  const { statements, syntaxError } = parsePostgres(sql);
  if (syntaxError)
    throw new Error(`cannot take the script apart: line ${syntaxError.line}: ${syntaxError.message}`);
  const parts = joinTransactions(
    statements.map((one, index) => describe(one, textOf(sql, statements, index))),
  );
  const groups = new Map<string, string[]>();
  const left = new Set(parts);
  const place = (group: string, part: Part) => {
    if (!left.delete(part)) return;
    // A type comes before the first that uses it.
    for (const type of left) if (type.kind === 'type' && part.text.includes(type.table)) place(group, type);
    groups.set(group, [...(groups.get(group) ?? []), part.text]);
  };
  const made = new Set<string>();
  const order = orderByReference(parts);
  for (const table of order) {
    made.add(table);
    for (const part of parts)
      if (part.table === table && part.refersTo.every((other) => made.has(other) || !order.includes(other)))
        place(`create_${table}`, part);
  }
  for (const part of parts) if (part.kind === 'change') place(`update_${part.table}`, part);
  for (const part of parts) if (part.kind === 'drop') place(`drop_${part.table}`, part);
  for (const part of parts) place(`update_${part.table}`, part);
  return [...groups].map(([name, texts]) => ({ name: toSnake(name), sql: `${texts.join('\n\n')}\n` }));
}

interface Part {
  readonly kind: 'create' | 'change' | 'drop' | 'type' | 'begin' | 'commit';
  /** The table, or the type's name. */
  readonly table: string;
  readonly refersTo: readonly string[];
  readonly text: string;
}

/** What Prisma puts into a transaction of its own (an enum that loses a value) stays together. */
function joinTransactions(parts: readonly Part[]): Part[] {
  const joined: Part[] = [];
  let open: Part[] | undefined;
  for (const part of parts) {
    if (part.kind === 'begin') open = [];
    else if (part.kind === 'commit' && open) {
      const [first] = open.filter(({ kind }) => kind === 'change');
      const text = open.map((one) => one.text).join('\n');
      joined.push({
        kind: 'change',
        table: first?.table ?? open[0]?.table ?? 'database',
        refersTo: [],
        text,
      });
      open = undefined;
    } else (open ?? joined).push(part);
  }
  return [...joined, ...(open ?? [])];
}

function describe({ node }: Statement, text: string): Part {
  const part = (kind: Part['kind'], table: string, refersTo: readonly string[] = []) => ({
    kind,
    table,
    refersTo,
    text,
  });
  if ('TransactionStmt' in node)
    return part(node.TransactionStmt.kind === 'TRANS_STMT_BEGIN' ? 'begin' : 'commit', '');
  if ('CreateStmt' in node) return part('create', keyOf(node.CreateStmt.relation));
  if ('CreateEnumStmt' in node) return part('type', keyOfNames(namesOf(node.CreateEnumStmt.typeName)));
  if ('AlterEnumStmt' in node) return part('type', keyOfNames(namesOf(node.AlterEnumStmt.typeName)));
  if ('IndexStmt' in node) return part('change', keyOf(node.IndexStmt.relation));
  if ('AlterTableStmt' in node) {
    const refersTo = (node.AlterTableStmt.cmds ?? []).flatMap((action) => {
      const def = 'AlterTableCmd' in action ? action.AlterTableCmd.def : undefined;
      return def && 'Constraint' in def && def.Constraint.pktable ? [keyOf(def.Constraint.pktable)] : [];
    });
    return part('change', keyOf(node.AlterTableStmt.relation), refersTo);
  }
  if ('DropStmt' in node) {
    const [object] = node.DropStmt.objects ?? [];
    const name =
      object === undefined
        ? ''
        : 'List' in object
          ? keyOfNames(namesOf(object.List.items))
          : 'TypeName' in object
            ? typeOf(object.TypeName).name
            : '';
    return part('drop', name);
  }
  if ('RenameStmt' in node) return part('change', keyOf(node.RenameStmt.relation));
  return part('change', 'database');
}

/** New tables, each after those that it refers to; a circle is cut where it is met. */
function orderByReference(parts: readonly Part[]): string[] {
  const created = parts.filter(({ kind }) => kind === 'create').map(({ table }) => table);
  const order: string[] = [];
  const visit = (table: string, path: readonly string[]) => {
    if (order.includes(table) || path.includes(table) || !created.includes(table)) return;
    for (const part of parts)
      if (part.table === table) for (const other of part.refersTo) visit(other, [...path, table]);
    order.push(table);
  };
  for (const table of created) visit(table, []);
  return order;
}

function textOf(sql: string, statements: readonly Statement[], index: number): string {
  const lines = sql.split('\n');
  const from = (statements[index]?.line ?? 1) - 1;
  const next = statements[index + 1];
  // Prisma writes each statement on lines of its own, with a comment above the first of a kind.
  const text = lines.slice(from, next === undefined ? undefined : next.line - 1);
  return text
    .filter((line) => !line.startsWith('--'))
    .join('\n')
    .trim();
}

const toSnake = (name: string) =>
  name
    .replaceAll(/([a-z0-9])([A-Z])/g, '$1_$2')
    .replaceAll(/[^A-Za-z0-9]+/g, '_')
    .toLowerCase();
