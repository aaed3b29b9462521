import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import * as bindings from '@prisma/schema-engine-wasm/schema_engine_bg';
import { __wbg_set_wasm as setWasm } from '@prisma/schema-engine-wasm/schema_engine_bg';
import { messageOf } from '../../lib/errors.ts';

const fileName = 'schema_engine_bg.wasm';
const bindingsModule = '@prisma/schema-engine-wasm/schema_engine_bg';

let lastPanic: string | undefined;

/** What the engine said when it panicked, if it has; the exception itself is only "unreachable". */
export function lastPanicMessage(): string | undefined {
  return lastPanic;
}

/**
 * Loads Prisma's schema engine. The package itself imports the .wasm as a module, which Node 24 does not do for a
 * bundle: the file is read instead, from beside this one (bundled) or from the package (run from source).
 *
 * @throws {Error} when the file is missing or is not the engine that the bindings belong to.
 */
export async function loadEngine(): Promise<typeof bindings> {
  const file = locate();
  // The name under which the engine reports panics is its own: `register_panic_hook` in schema-engine-wasm.
  Object.assign(globalThis, {
    PRISMA_WASM_PANIC_REGISTRY: {
      set_message: (message: string): void => {
        lastPanic = message;
      },
    },
  });
  try {
    const module = await WebAssembly.compile(await readFile(file));
    const instance = await WebAssembly.instantiate(module, { './schema_engine_bg.js': bindings });
    setWasm(instance.exports);
    const { __wbindgen_start: start } = instance.exports;
    start();
  } catch (error) {
    throw new Error(`cannot load the schema engine from ${fileURLToPath(file)}: ${messageOf(error)}`, {
      cause: error,
    });
  }
  return bindings;
}

function locate(): URL {
  const beside = new URL(fileName, import.meta.url);
  if (existsSync(beside)) return beside;
  try {
    return new URL(fileName, import.meta.resolve(bindingsModule));
  } catch (error) {
    throw new Error(`cannot load the schema engine: ${fileURLToPath(beside)} is missing`, { cause: error });
  }
}
