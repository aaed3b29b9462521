import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { Refusal } from '../../lib/errors.ts';

/** One change of a release: a file that is new, a passage of a file that is another, or a file read and rewritten. */
export type Edit =
  | { readonly add: string; readonly text: string }
  | { readonly change: string; readonly from: string; readonly to: string }
  | { readonly rewrite: string; readonly how: (text: string) => string };

/** A version of the sandbox's appliance: what makes it out of the one before. */
export interface Release {
  readonly tag: string;
  /** The commit's message. */
  readonly summary: string;
  readonly edits: readonly Edit[];
}

/**
 * Writes a release's changes into a tree.
 *
 * @throws Refusal if one of them does not fit the tree: the demo's releases follow the reference appliance by hand,
 *   and half of a release would be worse than none
 */
export function applyEdits(tree: string, edits: readonly Edit[]): void {
  for (const edit of edits) {
    if ('add' in edit) {
      const path = join(tree, edit.add);
      if (existsSync(path)) throw misfit(edit.add, 'there is such a file already');
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, edit.text);
      continue;
    }
    const name = 'change' in edit ? edit.change : edit.rewrite;
    const path = join(tree, name);
    if (!existsSync(path)) throw misfit(name, 'there is no such file');
    const text = readFileSync(path, 'utf8');
    writeFileSync(path, 'change' in edit ? replaceOnce(name, text, edit) : edit.how(text));
  }
}

function replaceOnce(name: string, text: string, { from, to }: { from: string; to: string }): string {
  const count = text.split(from).length - 1;
  if (count !== 1) throw misfit(name, `it holds ${JSON.stringify(from)} ${count} times instead of once`);
  return text.replace(from, () => to);
}

function misfit(name: string, why: string): Refusal {
  return new Refusal(
    `cannot make the demo's releases: their change of ${name} does not fit this checkout (${why})`,
    'run the demo on a checkout as it was published; who changes the reference appliance changes orchestrator/demo/releases with it',
  );
}

/** The version that a package's manifest names, and its lockfile with it. */
export function setVersion(folder: string, version: string): Edit[] {
  const write = (value: unknown) => `${JSON.stringify(value, null, 2)}\n`;
  return [
    {
      rewrite: `${folder}/package.json`,
      how: (text) => write({ ...(JSON.parse(text) as object), version }),
    },
    {
      rewrite: `${folder}/package-lock.json`,
      how: (text) => {
        const lock = JSON.parse(text) as { packages: Record<string, object> };
        return write({
          ...lock,
          version,
          packages: { ...lock.packages, '': { ...lock.packages[''], version } },
        });
      },
    },
  ];
}
