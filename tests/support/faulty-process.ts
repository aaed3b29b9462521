import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

/*
 * What a process of ours is told by the system, changed at the border to it: by a preload that Node loads before
 * Holdfast. Production code knows nothing of it, and what it starts does not inherit it.
 */

/** In this process fsync fails on a journal as soon as this text is in it: kept on disk all the same, or not. */
export function failingFsync(
  folder: string,
  once: { readonly the: string; readonly is: 'kept' | 'lost' },
): Record<string, string> {
  return preload(
    folder,
    `const fs = require('node:fs');
    const { fsyncSync } = fs;
    fs.fsyncSync = (descriptor) => {
      const path = fs.readlinkSync('/proc/self/fd/' + descriptor);
      const text = path.endsWith('journal.ndjson') ? fs.readFileSync(path, 'latin1') : '';
      const at = text.indexOf(${JSON.stringify(once.the)});
      if (at === -1) return fsyncSync(descriptor);
      const start = text.lastIndexOf('\\n', at) + 1;
      const zeros = Buffer.alloc(text.indexOf('\\n', at) + 1 - start);
      if (${once.is === 'lost'}) fs.writeSync(descriptor, zeros, 0, zeros.length, start);
      throw Object.assign(new Error('EIO: i/o error, fsync'), { code: 'EIO' });
    };
    require('node:module').syncBuiltinESMExports();`,
  );
}

/** In this process the clock is this much behind. */
export function clockSetBack(folder: string, byMs: number): Record<string, string> {
  return preload(
    folder,
    `const RealDate = Date;
    globalThis.Date = class extends RealDate {
      constructor(...args) {
        if (args.length === 0) super(RealDate.now() - ${byMs});
        else super(...args);
      }
      static now() { return RealDate.now() - ${byMs}; }
    };`,
  );
}

function preload(folder: string, code: string): Record<string, string> {
  const path = join(folder, 'preload.cjs');
  writeFileSync(path, code);
  // Quoted: the sandbox's path holds a space.
  return { NODE_OPTIONS: `--require "${path}"` };
}
