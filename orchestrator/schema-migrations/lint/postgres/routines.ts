import type { CreateFunctionStmt } from 'libpg-query';
import { keyOfNames, namesOf, typeOf } from './nodes.ts';
import { formatType } from './types.ts';

/** A function or procedure, with the text that made it. */
export interface Routine {
  readonly statement: CreateFunctionStmt;
  readonly text: string;
}

/**
 * The functions and procedures that the migrations have made, by the name of a call without its schema: which one of
 * that name a call means depends on types that only the database knows.
 */
export class Routines {
  readonly #byName = new Map<string, Map<string, Routine>>();

  /** @param isCertain whether it surely takes the place of the one that has the same arguments */
  define(routine: Routine, isCertain: boolean): void {
    const names = namesOf(routine.statement.funcname);
    const name = names.at(-1) ?? '';
    const own = this.#byName.get(name) ?? new Map<string, Routine>();
    const signature = `${keyOfNames(names)}(${argumentTypes(routine.statement).join()})`;
    this.#byName.set(name, own.set(isCertain ? signature : `${signature} ${own.size}`, routine));
  }

  named(name: string): Routine[] {
    return [...(this.#byName.get(name)?.values() ?? [])];
  }
}

function argumentTypes({ parameters }: CreateFunctionStmt): string[] {
  return (parameters ?? []).flatMap((one) =>
    'FunctionParameter' in one &&
    one.FunctionParameter.mode !== 'FUNC_PARAM_OUT' &&
    one.FunctionParameter.mode !== 'FUNC_PARAM_TABLE'
      ? [formatType(typeOf(one.FunctionParameter.argType))]
      : [],
  );
}
