import { chmodSync, copyFileSync, cpSync, mkdirSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { build } from 'esbuild';

/*
 * Builds the runner into a folder: main.mjs (Holdfast), schema-engine.mjs, sqlite.mjs, their WebAssembly, and what services
 * preload. Self-contained: an interrupted run is recovered by it even when nothing else of that version is left.
 *
 * Usage: node orchestrator/build-runner.ts FOLDER NODE
 */
const [folder, node] = process.argv.slice(2);
if (folder === undefined || node === undefined) throw new Error('usage: build-runner.ts FOLDER NODE');
mkdirSync(folder, { recursive: true });

const here = import.meta.dirname;
const shared = {
  bundle: true,
  platform: 'node',
  format: 'esm',
  target: 'node24',
  external: ['pg-native'] as string[],
  logLevel: 'warning',
  // Some dependencies are CommonJS: they call require, and look beside themselves.
  banner: {
    js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url); const __dirname = import.meta.dirname;",
  },
} as const;

await Promise.all([
  build({
    ...shared,
    entryPoints: [join(here, 'main.ts')],
    outfile: join(folder, 'main.mjs'),
    minifySyntax: true,
  }),
  build({
    ...shared,
    entryPoints: [join(here, 'schema-migrations/engine/main.ts')],
    outfile: join(folder, 'schema-engine.mjs'),
  }),
  build({
    ...shared,
    entryPoints: [join(here, 'database/sqlite/program.ts')],
    outfile: join(folder, 'sqlite.mjs'),
  }),
]);

const wasm = dirname(createRequire(import.meta.url).resolve('@prisma/schema-engine-wasm/schema_engine_bg'));
const grammar = dirname(createRequire(import.meta.url).resolve('libpg-query'));
copyFileSync(join(wasm, 'schema_engine_bg.wasm'), join(folder, 'schema_engine_bg.wasm'));
copyFileSync(join(grammar, 'libpg-query.wasm'), join(folder, 'libpg-query.wasm'));
copyFileSync(join(here, 'appliance/gate-preload.cjs'), join(folder, 'gate-preload.cjs'));

// The folder is renamed after it was built, so the script finds its place by itself.
const quoted = `'${node.replaceAll("'", `'\\''`)}'`;
cpSync(join(here, '../lxd'), join(folder, 'lxd'), {
  recursive: true,
  filter: (path) => !path.endsWith('.md'),
});
const engine = join(folder, 'schema-engine');
writeFileSync(
  engine,
  `#!/bin/sh\n[ -n "$HOLDFAST_ENGINE_NODE" ] || HOLDFAST_ENGINE_NODE=${quoted}\nexec "$HOLDFAST_ENGINE_NODE" "\${0%/*}/schema-engine.mjs" "$@"\n`,
);
chmodSync(engine, 0o755);
