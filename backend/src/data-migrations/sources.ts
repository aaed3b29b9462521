import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { build, type Plugin } from 'esbuild';
import { checksumOf } from './checksum.ts';

/** Generated anew by each release, and no part of what a migration means. */
const GENERATED = /[/\\]generated[/\\]/;

/** What a migration reads besides code is no code of its own. */
const codeOnly: Plugin = {
  name: 'code-only',
  setup({ onResolve }) {
    onResolve({ filter: /^\.{0,2}\// }, ({ path: wanted, kind }) =>
      kind !== 'entry-point' && (GENERATED.test(wanted) || /\.(?:node|wasm)$/.test(wanted))
        ? { path: wanted, external: true }
        : undefined,
    );
  },
};

/**
 * The checksum of a migration's file and of all that it imports from beside it, by whichever way: `import`, `import()`,
 * `require()`, `paths` of the tsconfig. Packages and the generated client are no part of it.
 *
 * @returns that of the file alone where what it imports cannot be found out
 */
export async function checksumOfSources(file: string): Promise<string> {
  const folder = path.dirname(file);
  const own = await readFile(file, 'utf8');
  let names: string[];
  try {
    const { metafile } = await build({
      ...{ entryPoints: [file], absWorkingDir: folder, bundle: true, write: false, metafile: true },
      ...{ packages: 'external', platform: 'node', format: 'esm', logLevel: 'silent', plugins: [codeOnly] },
      loader: { '.sql': 'text', '.csv': 'text', '.txt': 'text' },
    });
    names = Object.keys(metafile.inputs).filter((name) => !name.includes('node_modules/'));
  } catch {
    return checksumOf(own);
  }
  const others = names
    .map((name) => path.resolve(folder, name))
    .filter((name) => name !== path.resolve(file));
  const texts = await Promise.all(others.toSorted().map(async (name) => await readFile(name, 'utf8')));
  return checksumOf([own, ...texts].join('\0'));
}
