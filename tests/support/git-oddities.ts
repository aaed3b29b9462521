import { mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Edit } from './releases.ts';

const wide = (text: string) => Buffer.from(text, 'utf16le');

/** Files that git changes on their way into a checkout, names that differ in case only, a folder that becomes a link. */
export const oddFiles: Edit = (folder) => {
  const write = (path: string, text: string | Buffer) => writeFileSync(join(folder, path), text);
  write('.gitattributes', 'docs/wide.txt working-tree-encoding=UTF-16LE\ndocs/secret.txt filter=rot13\n');
  write('docs/lines.txt', 'one\ntwo\n');
  write('docs/wide.txt', wide('weit\n'));
  write('docs/secret.txt', 'in the clear\n');
  write('docs/README', 'large\n');
  mkdirSync(join(folder, 'linked'));
  write('linked/file', 'in a folder\n');
};

/** All of them changed; the folder is a link out of the checkout now, to a folder that has a file of the same name. */
export const oddFilesChanged: Edit = (folder) => {
  for (const name of ['lines', 'secret', 'news'])
    writeFileSync(join(folder, `docs/${name}.txt`), 'new\nlines\n');
  writeFileSync(join(folder, 'docs/wide.txt'), wide('weiter\n'));
  writeFileSync(join(folder, 'docs/readme'), 'small\n');
  rmSync(join(folder, 'linked'), { recursive: true });
  symlinkSync('../beside', join(folder, 'linked'));
};
