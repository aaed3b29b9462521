import { rawFromBytes, type RawPath } from '../lib/raw-path.ts';
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
/** Says of each entry what it is, and the names of its extended attributes below it (see `parseAttributes`). */
const telling = ['-vvv', '--quoting-style=c'];
const names = ['--no-recursion', '--null', '--verbatim-files-from', '--files-from=-'];

/** Packs exactly these entries of a folder, which stand NUL-separated in `entries`. */
export function createArchive(options: { archive: string; root: string; entries: Uint8Array }): Command {
  return {
    file: 'tar',
    args: [
      '--create',
      `--file=${options.archive}`,
      // A colon in a path would mean another machine.
      '--force-local',
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

/** Says of exactly these entries what `telling` says, and packs nothing: tar does not read what goes there. */
export function listAttributes(options: { root: string; entries: Uint8Array }): Command {
  return {
    file: 'tar',
    args: ['--create', '--file=/dev/null', ...faithful, ...telling, '--directory', options.root, ...names],
    input: options.entries,
    addEnv: { LC_ALL: 'C' },
    label: 'tar',
  };
}

/**
 * Reads what `listAttributes` and `extractArchive` print: the names of the extended attributes of each entry. An entry
 * is a line as of `ls -l` with its name in C's quotes, an attribute one below it, as `  x: 5 user.a`.
 */
export function parseAttributes(printed: string): Map<RawPath, string[]> {
  const found = new Map<RawPath, string[]>();
  let current: string[] = [];
  for (const line of printed.split('\n')) {
    const attribute = /^ {2}x: +\d+ (.*)$/.exec(line)?.[1];
    if (attribute !== undefined) current.push(attribute);
    const name = /^[a-z-][a-zA-Z-]{9}[^"]* "((?:[^"\\]|\\.)*)"/.exec(line)?.[1];
    if (name !== undefined) found.set(unquote(name), (current = []));
  }
  return found;
}

const escapes: Readonly<Record<string, string>> = {
  ...{ a: '\x07', b: '\b', f: '\f', n: '\n', r: '\r', t: '\t', v: '\v' },
};

/** A name out of C's quotes, without the slash that ends a folder's; '' for the root. */
function unquote(quoted: string): RawPath {
  const name = quoted
    .replaceAll(/\\([0-7]{3}|.)/g, (_, code: string) =>
      code.length === 3 ? String.fromCharCode(Number.parseInt(code, 8)) : (escapes[code] ?? code),
    )
    .replace(/\/$/, '');
  return rawFromBytes(Buffer.from(name === '.' ? '' : name, 'latin1'));
}

/** Unpacks exactly these entries into a folder; metadata of folders that exist already is set, too. */
export function extractArchive(options: { archive: string; into: string; entries: Uint8Array }): Command {
  return {
    file: 'tar',
    args: [
      ...[
        '--extract',
        `--file=${options.archive}`,
        '--force-local',
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
      ...telling,
      ...['--directory', options.into, ...names],
    ],
    input: options.entries,
    addEnv: { LC_ALL: 'C' },
    label: 'tar',
  };
}

/**
 * Packs the files of one snapshot in this order, as nobody's and for nobody else. In GNU's format a header is one block
 * whatever the length of a file: no extended headers, which a strict reader would have to believe.
 */
export function packSnapshot(options: {
  archive: string;
  parent: string;
  id: string;
  names: readonly string[];
}): Command {
  return {
    file: 'tar',
    args: [
      '--create',
      `--file=${options.archive}`,
      '--force-local',
      '--use-compress-program=zstd -T0 -1 -q',
      ...['--format=gnu', '--owner=root:0', '--group=root:0', '--numeric-owner', '--mode=0600'],
      ...['--no-recursion', '--no-xattrs', '--no-acls', '--no-selinux', '--hard-dereference'],
      '--directory',
      options.parent,
      '--',
      ...options.names.map((name) => `${options.id}/${name}`),
    ],
    addEnv: { LC_ALL: 'C' },
    label: 'tar',
  };
}

/** One file of an archive, to standard output. */
export function readFromArchive(options: { archive: string; entry: string }): Command {
  return {
    file: 'tar',
    args: [
      ...['--extract', '--to-stdout', `--file=${options.archive}`, '--force-local'],
      ...['--use-compress-program=zstd -d -q', '--no-wildcards', '--occurrence=1', '--', options.entry],
    ],
    addEnv: { LC_ALL: 'C' },
    label: 'tar',
  };
}
