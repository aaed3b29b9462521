import type { Command } from '../runtime/runtime.ts';

/*
 * GNU tar moves the data: it keeps owners, times to the nanosecond, xattrs, ACLs, capabilities, hard links and holes,
 * which no library does. Names go through standard input, NUL-separated and taken to the letter.
 */

const faithful = [
  '--format=posix',
  '--pax-option=delete=atime,delete=ctime',
  '--acls',
  '--xattrs',
  '--xattrs-include=*',
  '--numeric-owner',
  '--sparse',
];
const names = ['--no-recursion', '--null', '--verbatim-files-from', '--files-from=-'];

/** Packs exactly these entries of a folder, which stand NUL-separated in `entries`. */
export function createArchive(options: { archive: string; root: string; entries: Uint8Array }): Command {
  return {
    file: 'tar',
    args: [
      '--create',
      `--file=${options.archive}`,
      '--use-compress-program=zstd -T0 -3 -q',
      ...faithful,
      '--directory',
      options.root,
      ...names,
    ],
    input: options.entries,
    addEnv: { LC_ALL: 'C' },
    label: 'tar',
  };
}

/** Unpacks exactly these entries into a folder; metadata of folders that exist already is set, too. */
export function extractArchive(options: { archive: string; into: string; entries: Uint8Array }): Command {
  return {
    file: 'tar',
    args: [
      ...[
        '--extract',
        `--file=${options.archive}`,
        '--use-compress-program=zstd -d -q',
        '--preserve-permissions',
        '--same-owner',
      ],
      ...[
        '--acls',
        '--xattrs',
        '--xattrs-include=*',
        '--numeric-owner',
        '--delay-directory-restore',
        '--no-wildcards',
      ],
      ...['--directory', options.into, ...names],
    ],
    input: options.entries,
    addEnv: { LC_ALL: 'C' },
    label: 'tar',
  };
}
