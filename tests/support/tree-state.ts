import { createHash } from 'node:crypto';
import { lstatSync, readdirSync, readFileSync, readlinkSync, type BigIntStats } from 'node:fs';
import { execa } from 'execa';
import type { State } from './state.ts';

/*
 * A tree as it is, to the last attribute. Written anew instead of taken from orchestrator/snapshot: what a restore
 * overlooks must not be overlooked by its test as well.
 */

interface Seen {
  /** Relative; each character is one byte, as names need not be UTF-8. */
  readonly path: string;
  readonly stat: BigIntStats;
}

/** A file of at least this size whose blocks hold less is sparse; of smaller ones the file system decides. */
const sparseFrom = 1n << 20n;

/** Every entry of a folder, itself included, but for `leftOut` (relative paths) and what lies below those. */
export async function captureTree(folder: string, leftOut: readonly string[] = []): Promise<State> {
  const seen = walk(folder, new Set(leftOut));
  const attributes = await readAttributes(folder, seen);
  const groups = new Map<string, string[]>();
  for (const { path, stat } of seen) {
    if (!stat.isFile() || stat.nlink === 1n) continue;
    const id = `${stat.dev}:${stat.ino}`;
    groups.set(id, [...(groups.get(id) ?? []), display(path)]);
  }
  const state = new Map<string, Record<string, string>>();
  for (const { path, stat } of seen) {
    const full = absolute(folder, path);
    const type = typeOf(stat);
    state.set(`${type} ${display(path) || '.'}`, {
      mode: (stat.mode & 0o7777n).toString(8),
      owner: `${stat.uid}:${stat.gid}`,
      modified: String(stat.mtimeNs),
      ...(type === 'symlink'
        ? { target: readlinkSync(full, { encoding: 'buffer' }).toString('latin1') }
        : {}),
      ...(type === 'file' ? describeFile(full, stat) : {}),
      ...(type === 'file' && stat.nlink > 1n
        ? { links: `${stat.nlink}: ${groups.get(`${stat.dev}:${stat.ino}`)?.join(', ')}` }
        : {}),
      ...(attributes.get(path) === undefined ? {} : { attributes: attributes.get(path) ?? '' }),
    });
  }
  return state;
}

/** A product by names, sizes and times: it is moved, never rewritten. */
export function captureProduct(folder: string, name: string): State {
  const state = new Map<string, Record<string, string>>();
  for (const { path, stat } of walk(`${folder}/${name}`, new Set()))
    state.set(`product ${name}/${display(path)}`, {
      type: typeOf(stat),
      size: stat.isFile() ? String(stat.size) : '-',
      modified: String(stat.mtimeNs),
      inode: String(stat.ino),
    });
  return state;
}

function describeFile(full: Buffer, stat: BigIntStats): Record<string, string> {
  return {
    size: String(stat.size),
    bytes: createHash('sha256').update(readFileSync(full)).digest('hex').slice(0, 16),
    ...(stat.size >= sparseFrom ? { sparse: stat.blocks * 512n < stat.size ? 'yes' : 'no' } : {}),
  };
}

function walk(folder: string, leftOut: ReadonlySet<string>): Seen[] {
  const seen: Seen[] = [];
  const visit = (path: string) => {
    if (leftOut.has(path)) return;
    const stat = lstatSync(absolute(folder, path), { bigint: true, throwIfNoEntry: false });
    if (!stat) return;
    seen.push({ path, stat });
    if (!stat.isDirectory()) return;
    const names = readdirSync(absolute(folder, path), { encoding: 'buffer' }).map((name) =>
      name.toString('latin1'),
    );
    for (const name of names.toSorted()) visit(path === '' ? name : `${path}/${name}`);
  };
  visit('');
  return seen;
}

const absolute = (folder: string, path: string): Buffer =>
  Buffer.concat([Buffer.from(folder), Buffer.from(path === '' ? '' : `/${path}`, 'latin1')]);
const display = (path: string): string => Buffer.from(path, 'latin1').toString('utf8');

function typeOf(stat: BigIntStats): string {
  if (stat.isFile()) return 'file';
  if (stat.isDirectory()) return 'directory';
  if (stat.isSymbolicLink()) return 'symlink';
  if (stat.isFIFO()) return 'pipe';
  return stat.isSocket() ? 'socket' : 'device';
}

/** Extended attributes, which hold ACLs and capabilities as well, where getfattr is installed. */
async function readAttributes(folder: string, seen: readonly Seen[]): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  const paths = seen.filter(({ stat }) => stat.isFile() || stat.isDirectory()).map(({ path }) => path);
  const { stdout, exitCode } = await execa(
    'xargs',
    ['-0', 'getfattr', '--no-dereference', '--dump', '--match=-', '--encoding=hex', '--'],
    {
      cwd: folder,
      input: Buffer.from(paths.map((path) => `./${path}\0`).join(''), 'latin1'),
      reject: false,
      encoding: 'latin1',
    },
  );
  if (exitCode !== 0) return found;
  for (const block of stdout.split('\n\n')) {
    const [head = '', ...lines] = block.trim().split('\n');
    const name = head
      .replace(/^# file: (\.\/)?/, '')
      .replaceAll(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
    if (name !== '') found.set(name === '.' ? '' : name, lines.toSorted().join(' '));
  }
  return found;
}
