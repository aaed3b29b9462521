import { zstdCompressSync } from 'node:zlib';
import { configOf } from '../unit/support/an-appliance.ts';
import { entriesOf, tarOf, type ArchiveEntry } from './hostile-archive.ts';
import { sealedFiles } from './sealed-snapshot.ts';

/* Archives that nobody should trust, made of one that is whole. */

export const id = '20261120-021403';

export const whole = () => entriesOf(sealedFiles(id));
const at = (name: string) => `${id}/${name}`;
const [manifestEntry, checksumEntry] = whole() as [ArchiveEntry, ArchiveEntry];

/** Instead of the last part of a whole archive, or after it. */
const withExtra = (...extra: ArchiveEntry[]) => [...whole(), ...extra];
const withLast = (last: Partial<ArchiveEntry>) => [
  ...whole().slice(0, -1),
  { ...(whole().at(-1) as ArchiveEntry), ...last },
];
/** A manifest that says something else of itself, with a checksum that vouches for it. */
const saying = (more: object) => entriesOf(sealedFiles(id, more));

/** Each with what is told. */
export const hostile: [string, () => ArchiveEntry[], RegExp][] = [
  ['../ in a name', () => withExtra({ path: '../outside', content: 'taken' }), /holds "\.\.\/outside"/],
  [
    '../ behind the id',
    () => withExtra({ path: at('../../outside'), content: 'x' }),
    /which the manifest does not name/,
  ],
  ['an absolute name', () => withExtra({ path: '/etc/cron.d/holdfast', content: 'x' }), /holds "\/etc\/cron/],
  [
    'an absolute name of a part',
    () => withLast({ path: `/${at('registry.json')}` }),
    /which the manifest does not name/,
  ],
  [
    './ before a name',
    () => withLast({ path: `./${at('registry.json')}` }),
    /which the manifest does not name/,
  ],
  [
    'a symbolic link',
    () => withLast({ type: 'SymbolicLink', linkpath: '/etc', content: '' }),
    /is a SymbolicLink/,
  ],
  [
    'a link, then a file through it',
    () =>
      withExtra(
        { path: at('x'), type: 'SymbolicLink', linkpath: '..' },
        { path: at('x/outside'), content: 'x' },
      ),
    /is a SymbolicLink/,
  ],
  ['a hard link', () => withLast({ type: 'Link', linkpath: '../outside', content: '' }), /is a Link/],
  [
    'a character device',
    () => withExtra({ path: at('null'), type: 'CharacterDevice' }),
    /is a CharacterDevice/,
  ],
  ['a block device', () => withExtra({ path: at('sda'), type: 'BlockDevice' }), /is a BlockDevice/],
  ['a FIFO', () => withExtra({ path: at('pipe'), type: 'FIFO' }), /is a FIFO/],
  ['a folder', () => [{ path: `${id}/`, type: 'Directory' }, ...whole()], /is a Directory/],
  [
    'an extended header, which could rename anything',
    () => [{ path: 'PaxHeader/x', type: 'ExtendedHeader', content: '18 path=../outside\n' }, ...whole()],
    /is a ExtendedHeader/,
  ],
  [
    'a GNU long name',
    () => [{ path: '././@LongLink', type: 'NextFileHasLongPath', content: '../outside' }, ...whole()],
    /NextFileHasLongPath/,
  ],
  ['a part twice', () => [...whole(), whole().at(-1) as ArchiveEntry], /which came before/],
  [
    'a part in other case',
    () => withExtra({ path: at('REGISTRY.JSON'), content: 'x' }),
    /which the manifest does not name/,
  ],
  [
    'parts that differ by case alone',
    () => entriesOf(sealedFiles(id, {}, { 'a.json': 'a', 'A.json': 'b' })),
    /manifest is damaged at "parts"/,
  ],
  [
    'a part called manifest.json',
    () =>
      entriesOf(
        sealedFiles(id, { parts: [{ name: 'Manifest.json', sizeBytes: 1, sha256: 'a'.repeat(64) }] }),
      ),
    /manifest is damaged at "parts"/,
  ],
  ['a part missing', () => whole().slice(0, -1), /it lacks 1 part, such as registry\.json/],
  [
    'a part cut, its header telling the truth',
    () => withLast({ content: '[' }),
    /is said to have 1 bytes, and 3 bytes in the manifest/,
  ],
  ['a part changed', () => withLast({ content: '[}\n' }), /registry\.json is not what its checksum says/],
  [
    'a part that is longer than it says',
    () => withLast({ content: 'x'.repeat(2048), size: 3 }),
    /damaged|checksum/,
  ],
  ['a bomb by size in a header', () => withLast({ size: 8 ** 12, content: '' }), /is said to have/],
  [
    'a bomb by size that the manifest owns to',
    () => saying({ parts: [{ name: 'database.dump', sizeBytes: 2 ** 52, sha256: 'a'.repeat(64) }] }),
    /its parts take 4504 TB, and .* can be used at/,
  ],
  [
    'a bomb by count',
    () =>
      saying({
        parts: Array.from({ length: 1001 }, (_, i) => ({
          name: `p${i}`,
          sizeBytes: 0,
          sha256: 'a'.repeat(64),
        })),
      }),
    /manifest is damaged at "parts"/,
  ],
  [
    'a huge manifest',
    () => [{ ...manifestEntry, content: '', size: 2 ** 34 }],
    /its manifest\.json has 17 GB, and none needs more than 67 MB/,
  ],
  ['no manifest first', () => whole().slice(1), /it does not begin with manifest\.json/],
  ['no checksum after it', () => [manifestEntry, ...whole().slice(2)], /manifest\.sha256 does not follow/],
  [
    'a checksum of something else',
    () => [
      manifestEntry,
      { ...checksumEntry, content: `${'0'.repeat(64)}  manifest.json\n` },
      ...whole().slice(2),
    ],
    /is not what was sealed/,
  ],
  [
    'a manifest of a newer format',
    () => saying({ format: 2 }),
    /its format is 2, and this version reads formats up to 1/,
  ],
  ['a manifest that is no JSON', () => [{ ...manifestEntry, content: '{' }], /its manifest is not JSON/],
  ['an empty manifest', () => [{ ...manifestEntry, content: '' }], /its manifest is not JSON/],
  [
    'an id that is none',
    () => entriesOf(sealedFiles('../x')),
    /it does not begin with|manifest is damaged at "id"/,
  ],
  [
    'an id that is another one in the manifest',
    () => [{ ...manifestEntry, path: '20261120-000000/manifest.json' }, ...whole().slice(1)],
    /lies under the name/,
  ],
  [
    'an id that would be taken for one in the making',
    () => entriesOf(sealedFiles('x.unsealed')),
    /manifest is damaged at "id"/,
  ],
  [
    'a product key that leads out',
    () => saying({ products: [{ path: 'dist', present: true, key: '../../x', digest: 'x' }] }),
    /damaged at "products\.0\.key"/,
  ],
  [
    'a product that leads out',
    () => saying({ products: [{ path: '../../etc', present: true, key: 'x', digest: 'x' }] }),
    /damaged at "products\.0\.path"/,
  ],
  [
    'an archive of files that lies elsewhere',
    () => saying({ roots: [{ ...aRoot, archive: '../../x' }] }),
    /damaged at "roots\.0\.archive"/,
  ],
  [
    'an inventory that leads out',
    () => withInventory(inventoryLine('../outside')),
    /names what leads out of it: \.\.\/outside/,
  ],
  [
    'an inventory that goes behind a link',
    () => withInventory(inventoryLine('l', 'symlink'), inventoryLine('l/passwd')),
    /names what leads out of it: l\/passwd/,
  ],
  [
    'an archive of files with an entry too many',
    () => withInventory(inventoryLine('', 'directory')),
    /holds an entry that its inventory lacks: "outside"/,
  ],
  [
    'an appliance of another name',
    () => saying({ configuration: configOf({ name: 'elsewhere' }) }),
    /of the appliance "elsewhere", and this one is "shop"/,
  ],
];

const aRoot = {
  name: 'files',
  path: '/box',
  exclude: [],
  patterns: [],
  present: true,
  archive: 'files.tar.zst',
  inventory: 'inventory.ndjson',
  entries: 1,
};

function inventoryLine(path: string, type = 'file'): string {
  return `${JSON.stringify({ path, type, mode: 33188, uid: 0, gid: 0, size: 0, mtimeNs: '0', ctimeNs: '0', device: '0', inode: '0', links: 1 })}\n`;
}

/** With an archive of files that holds one entry, "outside", and this inventory of it. */
function withInventory(...lines: string[]): ArchiveEntry[] {
  const files = zstdCompressSync(
    tarOf([
      { path: './', type: 'Directory' },
      { path: 'outside', content: 'x' },
    ]),
  );
  const parts = { 'files.tar.zst': files, 'inventory.ndjson': lines.join('') };
  return entriesOf(sealedFiles(id, { roots: [aRoot] }, parts));
}
