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

/**
 * Every entry of a folder, itself included, but for `leftOut` (relative paths) and what lies below those.
 *
 * @param prefix tells the names of one tree from those of another
 */
export async function captureTree(
  folder: string,
  leftOut: readonly string[] = [],
  prefix = '',
): Promise<State> {
  const seen = walk(folder, new Set(leftOut));
  if (seen.length === 0) return new Map();
  const [attributes, data] = await Promise.all([readAttributes(folder, seen), readHoles(folder, seen)]);
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
    state.set(`${type} ${prefix}${display(path) || '.'}`, {
      mode: (stat.mode & 0o7777n).toString(8),
      owner: `${stat.uid}:${stat.gid}`,
      modified: String(stat.mtimeNs),
      ...(type === 'symlink'
        ? { target: readlinkSync(full, { encoding: 'buffer' }).toString('latin1') }
        : {}),
      ...(type === 'file' ? describeFile(full, stat) : {}),
      ...(type === 'device' ? { number: `${stat.isBlockDevice() ? 'b' : 'c'} ${stat.rdev}` } : {}),
      ...(data.get(path) === undefined ? {} : { data: data.get(path) ?? '' }),
      ...(type === 'file' && stat.nlink > 1n
        ? { links: `${stat.nlink}: ${groups.get(`${stat.dev}:${stat.ino}`)?.join(', ')}` }
        : {}),
      ...(attributes.get(path) === undefined ? {} : { attributes: attributes.get(path) ?? '' }),
    });
  }
  return state;
}

/** A product by all but its bytes and attributes: it is moved, never rewritten. */
export function captureProduct(folder: string, name: string): State {
  const state = new Map<string, Record<string, string>>();
  for (const { path, stat } of walk(`${folder}/${name}`, new Set()))
    state.set(`product ${name}/${display(path)}`, {
      type: typeOf(stat),
      size: stat.isFile() ? String(stat.size) : '-',
      mode: (stat.mode & 0o7777n).toString(8),
      owner: `${stat.uid}:${stat.gid}`,
      modified: String(stat.mtimeNs),
      inode: String(stat.ino),
    });
  return state;
}

function describeFile(full: Buffer, stat: BigIntStats): Record<string, string> {
  return {
    size: String(stat.size),
    bytes: createHash('sha256').update(readFileSync(full)).digest('hex').slice(0, 16),
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

const nulList = (paths: readonly string[]): Buffer =>
  Buffer.from(paths.map((path) => `./${path}\0`).join(''), 'latin1');

/**
 * Extended attributes of everything, symlinks and folders too; they hold ACLs and capabilities as well. Only where
 * getfattr is installed: what it cannot read is an error, or it would hide every difference.
 */
async function readAttributes(folder: string, seen: readonly Seen[]): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  const { stdout, stderr, exitCode } = await execa(
    'xargs',
    ['-0', 'getfattr', '--no-dereference', '--dump', '--match=-', '--encoding=hex', '--'],
    { cwd: folder, input: nulList(seen.map(({ path }) => path)), reject: false, encoding: 'latin1' },
  );
  if (exitCode === 127) return found;
  if (exitCode !== 0) throw new Error(`getfattr failed: ${stderr}`);
  for (const block of stdout.split('\n\n')) {
    const [head = '', ...lines] = block.trim().split('\n');
    const name = head
      .replace(/^# file: (\.\/)?/, '')
      .replaceAll(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
    if (name !== '') found.set(name === '.' ? '' : name, lines.toSorted().join(' '));
  }
  return found;
}

/** What perl prints for each file: where it holds data, as `from-to`; between them are holes (SEEK_DATA, lseek(2)). */
const holesScript = `use Fcntl; $/ = "\\0";
while (<STDIN>) {
  chomp; sysopen(my $f, $_, O_RDONLY) or die "$_: $!"; my ($size, $at, @data) = (-s $f, 0);
  while ($at < $size) {
    my $from = sysseek($f, $at, 3); last unless defined $from;
    $at = sysseek($f, $from, 4); push @data, ($from + 0) . '-' . ($at + 0);
  }
  print "$_\\0@data\\0";
}`;

/** Where the holes of regular files lie, by path. Nothing where there is no perl, which git brings. */
async function readHoles(folder: string, seen: readonly Seen[]): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  const files = seen.filter(({ stat }) => stat.isFile() && stat.size > 0n).map(({ path }) => path);
  const { stdout, stderr, code, exitCode } = await execa('perl', ['-e', holesScript], {
    ...{ cwd: folder, input: nulList(files), reject: false, encoding: 'latin1' },
  });
  if (code === 'ENOENT') return found;
  if (exitCode !== 0) throw new Error(`the holes of files cannot be read: ${stderr}`);
  const fields = stdout.split('\0');
  for (let i = 0; i + 1 < fields.length; i += 2)
    found.set((fields[i] ?? '').replace('./', ''), fields[i + 1] || 'none');
  return found;
}
