/** The part of WebAssembly that `wasm.ts` uses: `@types/node` 24 leaves it to the DOM's types, which are not ours. */
declare namespace WebAssembly {
  interface Module {
    readonly [Symbol.toStringTag]: string;
  }
  interface Instance {
    readonly exports: { readonly __wbindgen_start: () => void };
  }
  class RuntimeError extends Error {}
  function compile(bytes: Uint8Array): Promise<Module>;
  function instantiate(module: Module, imports: Readonly<Record<string, object>>): Promise<Instance>;
}
