import type { Node, RangeVar, TypeName } from 'libpg-query';
import { findAll, keyOf, keyOfNames, namesOf, typeOf } from '../lint/postgres/nodes.ts';
import type { Statement } from '../lint/postgres/parse.ts';
import type { Owners } from './owners.ts';

/** A statement of Prisma's script, or a transaction of it, and what stands or falls with it. */
export interface Part {
  /** Whose migration it belongs into: a table's key, `type KEY`, a name of its own, or `database`. */
  readonly group: string;
  /** The group as a word of a file's name. */
  readonly word: string;
  readonly verb: 'create' | 'update' | 'drop';
  /** It goes into the first migration that needs it, and not into one of its own. */
  readonly isHelper: boolean;
  /** What it makes, changes or takes away; `undefined` where that could be anything. */
  readonly writes: readonly string[] | undefined;
  /** What must be there, as it is, when it runs. */
  readonly reads: readonly string[];
  readonly text: string;
}

type Facts = Omit<Part, 'text' | 'reads' | 'isHelper'> & Partial<Pick<Part, 'reads' | 'isHelper'>>;

/** Prisma's statements as parts, in their order; what it puts into a transaction (an enum that loses a value) is one. */
export function partsOf(statements: readonly Statement[], owners: Owners): Part[] {
  const parts: Part[] = [];
  let open: Statement[] | undefined;
  for (const statement of statements) {
    if (!('TransactionStmt' in statement.node)) {
      if (open) open.push(statement);
      else parts.push(describe(statement, owners));
    } else if (statement.node.TransactionStmt.kind === 'TRANS_STMT_BEGIN') open = [];
    else if (open) {
      parts.push(asOne(open.map((one) => describe(one, owners))));
      open = undefined;
    }
  }
  return parts;
}

function asOne(parts: readonly Part[]): Part {
  const main = parts.find(({ group }) => !group.startsWith('type ')) ?? parts[0];
  const isAnything = parts.some(({ writes }) => writes === undefined);
  return {
    ...{ group: main?.group ?? 'database', word: main?.word ?? 'database', verb: 'update', isHelper: false },
    writes: isAnything ? undefined : parts.flatMap(({ writes }) => writes ?? []),
    reads: parts.flatMap(({ reads }) => reads),
    text: ['BEGIN;', ...parts.map(({ text }) => text), 'COMMIT;'].join('\n'),
  };
}

function describe({ node, text }: Statement, owners: Owners): Part {
  const facts = factsOf(node, owners);
  const sequences = [...text.matchAll(/nextval\('([^']+)'/gi)].map(([, name = '']) =>
    nameMark(keyOfNames(name.replaceAll('"', '').split('.'))),
  );
  return {
    isHelper: false,
    ...facts,
    reads: [...(facts.reads ?? []), ...typesIn(node), ...sequences],
    text: `${text.trim()};`,
  };
}

const typeMark = (key: string) => `type ${key}`;
const nameMark = (key: string) => `name ${key}`;

function typesIn(node: Node): string[] {
  return findAll(node, ['typeName'])
    .filter((found) => !Array.isArray(found.node))
    .map((found) => typeMark(typeOf(found.node as TypeName).name));
}

function factsOf(node: Node, owners: Owners): Facts {
  const ofTable = (table: string, more: Partial<Facts> = {}): Facts => ({
    ...{ group: table, word: table, verb: 'update' },
    ...more,
    writes: [table, ...(more.writes ?? [])],
  });
  const named = (relation: RangeVar | undefined, name = '') =>
    nameMark(keyOf({ ...relation, relname: name }));
  if ('CreateStmt' in node) {
    const { relation } = node.CreateStmt;
    const names = constraintNames(node).map((name) => named(relation, name));
    return ofTable(keyOf(relation), { verb: 'create', writes: names, reads: tablesReferred(node) });
  }
  if ('IndexStmt' in node) {
    const { relation, idxname } = node.IndexStmt;
    return ofTable(keyOf(relation), { writes: [named(relation, idxname)] });
  }
  if ('AlterTableStmt' in node && node.AlterTableStmt.objtype === 'OBJECT_TABLE') {
    const { relation, cmds = [] } = node.AlterTableStmt;
    const table = keyOf(relation);
    const dropped = cmds.flatMap((one) =>
      'AlterTableCmd' in one && one.AlterTableCmd.subtype === 'AT_DropConstraint'
        ? [one.AlterTableCmd.name ?? '']
        : [],
    );
    const names = [...constraintNames(node), ...dropped].map((name) => named(relation, name));
    // What a dropped foreign key led to may be changed or dropped only afterwards.
    const led = dropped.flatMap((name) => owners.referredBy(table, name) ?? []);
    return ofTable(table, { writes: names, reads: [...tablesReferred(node), ...led] });
  }
  if ('CreateEnumStmt' in node) {
    const type = keyOfNames(namesOf(node.CreateEnumStmt.typeName));
    const mark = typeMark(type);
    return { group: mark, word: type, verb: 'create', isHelper: true, writes: [mark] };
  }
  // A value that was added may be used only by a later transaction.
  if ('AlterEnumStmt' in node) return ofType(keyOfNames(namesOf(node.AlterEnumStmt.typeName)), 'update');
  if ('CreateSeqStmt' in node) {
    const sequence = keyOf(node.CreateSeqStmt.sequence);
    const mark = nameMark(sequence);
    return { group: mark, word: sequence, verb: 'create', isHelper: true, writes: [mark] };
  }
  if ('AlterSeqStmt' in node) {
    const owned = findAll(node, ['arg']).flatMap(({ node: arg }) => ownerIn(arg as Node));
    const [table] = owned;
    const mark = nameMark(keyOf(node.AlterSeqStmt.sequence));
    if (table !== undefined) return ofTable(table, { writes: [mark] });
  }
  if ('RenameStmt' in node) {
    const { renameType, relation, newname, object } = node.RenameStmt;
    if (renameType === 'OBJECT_TABCONSTRAINT')
      return ofTable(keyOf(relation), {
        writes: [named(relation, node.RenameStmt.subname), named(relation, newname)],
      });
    if (renameType === 'OBJECT_INDEX') {
      const index = keyOf(relation);
      const names = [nameMark(index), named(relation, newname)];
      const table = owners.tableOf(index);
      if (table !== undefined) return ofTable(table, { writes: names });
      return { group: index, word: index, verb: 'update', writes: undefined };
    }
    if (renameType === 'OBJECT_TYPE' && object && 'List' in object) {
      const [type = '', schema] = namesOf(object.List.items).toReversed();
      const marks = [type, newname ?? ''].map((one) =>
        typeMark(keyOfNames([...(schema === undefined ? [] : [schema]), one])),
      );
      return { group: marks[0] ?? '', word: type, verb: 'update', writes: marks };
    }
  }
  if ('DropStmt' in node) return dropFacts(node.DropStmt, owners);
  return { group: 'database', word: 'database', verb: 'update', writes: undefined };
}

const ofType = (type: string, verb: Part['verb']): Facts => ({
  ...{ group: typeMark(type), word: type, verb, writes: [typeMark(type)] },
});

function dropFacts({ objects = [], removeType }: { objects?: Node[]; removeType?: string }, owners: Owners) {
  const [object] = objects;
  if (object && 'TypeName' in object) return ofType(typeOf(object.TypeName).name, 'drop');
  const key = object && 'List' in object ? keyOfNames(namesOf(object.List.items)) : '';
  if (objects.length === 1 && removeType === 'OBJECT_TABLE')
    return {
      ...{ group: key, word: key, verb: 'drop' as const },
      // Its indexes and sequences go with it, and their names are free.
      writes: [key, ...owners.namesOf(key).map(nameMark)],
    };
  const table = owners.tableOf(key);
  if (objects.length === 1 && table !== undefined)
    return { group: table, word: table, verb: 'update' as const, writes: [table, nameMark(key)] };
  return { group: nameMark(key), word: key, verb: 'drop' as const, writes: undefined };
}

const tablesReferred = (node: Node): string[] =>
  findAll(node, ['pktable']).map((found) => keyOf(found.node as RangeVar));

const constraintNames = (node: Node): string[] =>
  findAll(node, ['conname']).flatMap((found) => (typeof found.node === 'string' ? [found.node] : []));

/** The table of `OWNED BY table.column`. */
function ownerIn(arg: Node): string[] {
  const names = 'List' in arg ? namesOf(arg.List.items) : [];
  return names.length > 1 ? [keyOfNames(names.slice(0, -1))] : [];
}
