import { messageOf } from '../lib/errors.ts';
import { displayPath, rawToBytes, type RawPath } from '../lib/raw-path.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { listAttributes, parseAttributes } from '../tools/tar.ts';

/*
 * tar sets the extended attributes that an archive holds, and leaves those that a folder was given since: a folder that
 * is there already is not made anew. Which ones it has, tar tells as well, on every machine; taking one away needs
 * setfattr, which is called for when there is such a one, and not before.
 */

/**
 * Takes extended attributes away that folders have and the archive does not know. May be run twice.
 *
 * @param entries what `nameList` makes of the folders
 * @param extracted what tar printed when it unpacked these folders
 * @throws Error that says how to go on, where setfattr is missing
 */
export async function dropAddedAttributes(
  runtime: Runtime,
  root: string,
  entries: Uint8Array,
  extracted: string,
): Promise<void> {
  const before = parseAttributes(extracted);
  const { stdout } = await runtime.run(listAttributes({ root, entries }));
  for (const [path, names] of parseAttributes(stdout)) {
    const added = names.filter((name) => !isSetByTar(name) && !(before.get(path) ?? []).includes(name));
    for (const name of added) await dropAttribute(runtime, root, path, name);
  }
}

/** ACLs and labels have options of their own, by which tar sets and clears them. */
const isSetByTar = (name: string): boolean => name.startsWith('system.') || name === 'security.selinux';

async function dropAttribute(runtime: Runtime, root: string, path: RawPath, name: string): Promise<void> {
  try {
    await runtime.run({
      // Through xargs, because a name need not be text, as an argument of ours must be.
      file: 'xargs',
      args: ['-0', 'setfattr', '--no-dereference', `--remove=${name}`, '--'],
      cwd: root,
      input: Buffer.concat([rawToBytes(path === '' ? ('.' as RawPath) : path), Buffer.of(0)]),
      label: 'setfattr',
    });
  } catch (error) {
    throw new Error(
      `${root}/${displayPath(path)} was given the attribute ${name}, and that could not be taken away: ${messageOf(error)}\n` +
        '  where setfattr is not installed: apt-get install attr, then ./run.sh recover',
      { cause: error },
    );
  }
}
