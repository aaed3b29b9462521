import type { Part } from './script-parts.ts';
import type { Order } from './sqlite-references.ts';

/**
 * Parts in an order in which foreign keys let them be applied, table by table; what has to do with each other for another
 * reason stays in Prisma's. Tables of which each has to come before the other become one group.
 */
export function inOrder(parts: readonly Part[], orders: readonly Order[]): Part[] {
  // What could be about anything keeps its place between the others.
  const at = parts.findIndex(({ writes }) => writes === undefined);
  if (at !== -1)
    return [
      ...inOrder(parts.slice(0, at), orders),
      ...parts.slice(at, at + 1),
      ...inOrder(parts.slice(at + 1), orders),
    ];
  const all = ordersIn(parts, orders);
  const groups = [...new Set(parts.map(({ group }) => group))];
  const earlier = new Map(groups.map((group) => [group, allBefore(group, all)]));
  const isBefore = (one: string, other: string) => earlier.get(other)?.has(one) === true;
  const sharesWith = (one: string) => (other: string) =>
    one === other || (isBefore(one, other) && isBefore(other, one));
  const firsts = groups.filter((group, index) => groups.findIndex(sharesWith(group)) === index);
  // Whatever comes before another has fewer before it.
  const countBefore = (first: string) =>
    groups.filter((one) => isBefore(one, first) && !isBefore(first, one)).length;
  return firsts
    .toSorted((one, other) => countBefore(one) - countBefore(other))
    .flatMap((first) => {
      const own = groups.filter(sharesWith(first));
      const reads = parts
        .filter(({ group }) => !own.includes(group) && isBefore(group, first))
        .flatMap(({ writes = [] }) => writes);
      return asOneGroup(parts.filter(({ group }) => own.includes(group))).map((part) => ({
        ...part,
        reads: [...part.reads, ...reads],
      }));
    });
}

function asOneGroup(parts: readonly Part[]): Part[] {
  const words = [...new Map(parts.map(({ group, word }) => [group, word])).values()];
  const word = words.length > 2 ? `${words[0]} and ${words.length - 1} others` : words.join(' and ');
  const group = [...new Set(parts.map((part) => part.group))].join(' and ');
  return parts.map((part) => ({ ...part, group, word }));
}

/** With those of parts that write the same, such as an index that moves to another table. */
function ordersIn(parts: readonly Part[], orders: readonly Order[]): Order[] {
  const shared = parts.flatMap((part, index) =>
    parts
      .slice(0, index)
      .filter(({ writes = [] }) => writes.some((what) => part.writes?.includes(what)))
      .map(({ group }) => [group, part.group] as const),
  );
  const isHere = (table: string) => parts.some(({ group }) => group === table);
  return [...orders, ...shared].filter(([one, other]) => one !== other && isHere(one) && isHere(other));
}

/** Every group that comes before one, and those that come before these. */
function allBefore(group: string, orders: readonly Order[]): Set<string> {
  const found = new Set<string>();
  const add = (later: string) => {
    for (const [first, second] of orders)
      if (second === later && !found.has(first)) {
        found.add(first);
        add(first);
      }
  };
  add(group);
  return found;
}
