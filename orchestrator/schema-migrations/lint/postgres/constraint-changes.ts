import type { Constraint } from 'libpg-query';

interface Dropped {
  readonly table: string;
  readonly name: string;
  readonly line: number;
}

interface Added {
  readonly table: string;
  readonly name: string;
  readonly kind: Constraint['contype'];
}

/** The rule for validating a constraint right away, in the transaction that holds the lock of adding it. */
type Validation = 'foreign-key-validates' | 'check-validates' | 'set-not-null';

/** What a file does about constraints: those that it drops, what it adds in their place, and what it leaves for later. */
export class ConstraintChanges {
  readonly #referred = new Set<string>();
  readonly #notValid = new Map<string, Map<string, Validation>>();
  #dropped: Dropped[] = [];
  #added: Added[] = [];

  /** A foreign key that leads to the table. */
  refer(to: string): void {
    this.#referred.add(to);
  }

  isReferred(table: string): boolean {
    return this.#referred.has(table);
  }

  renameTable(table: string, to: string): void {
    if (this.#referred.delete(table)) this.#referred.add(to);
    const notValid = this.#notValid.get(table);
    this.#notValid.delete(table);
    if (notValid) this.#notValid.set(to, notValid);
    this.#dropped = this.#dropped.map((one) => (one.table === table ? { ...one, table: to } : one));
    this.#added = this.#added.map((one) => (one.table === table ? { ...one, table: to } : one));
  }

  /** What was done to its constraints is no matter any more. */
  dropTable(table: string): void {
    this.#referred.delete(table);
    this.#notValid.delete(table);
    this.#dropped = this.#dropped.filter((one) => one.table !== table);
    this.#added = this.#added.filter((one) => one.table !== table);
  }

  /** One that is added without looking at the rows that are there. */
  addNotValid(table: string, name: string, rule: Validation): void {
    const notValid = this.#notValid.get(table) ?? new Map<string, Validation>();
    this.#notValid.set(table, notValid.set(name, rule));
  }

  ruleOfValidation(table: string, name: string): Validation | undefined {
    return this.#notValid.get(table)?.get(name);
  }

  drop(dropped: Dropped): void {
    this.#dropped.push(dropped);
  }

  add(table: string, { conname: name = '', contype: kind }: Constraint): void {
    this.#added.push({ table, name, kind });
  }

  /** Those in whose place nothing came: neither one of the same name, nor one of the same kind, each for one of them. */
  unreplaced(): Dropped[] {
    const left = [...this.#added];
    const take = (isIt: (one: (typeof left)[number]) => boolean) => {
      const at = left.findIndex(isIt);
      if (at !== -1) left.splice(at, 1);
      return at !== -1;
    };
    return this.#dropped
      .filter((gone) => !take((one) => one.table === gone.table && one.name === gone.name))
      .filter((gone) => !take((one) => one.table === gone.table && one.kind === kindByName(gone.name)));
  }
}

/** The kind that a name says which PostgreSQL or Prisma gave. */
function kindByName(name: string): Constraint['contype'] {
  return kinds[/_(?<kind>fkey|key|pkey|check|excl)\d*$/.exec(name)?.groups?.['kind'] ?? ''];
}

const kinds: Readonly<Record<string, Constraint['contype']>> = {
  ...{ fkey: 'CONSTR_FOREIGN', key: 'CONSTR_UNIQUE', pkey: 'CONSTR_PRIMARY' },
  ...{ check: 'CONSTR_CHECK', excl: 'CONSTR_EXCLUSION' },
};
