import { visible } from './printable.ts';

/**
 * A path inside a root as the kernel has it: bytes, not text. Each character of the string is one byte (latin1), so
 * that names which are not UTF-8 survive sorting, comparing and being keys of a map.
 */
export type RawPath = string & { readonly raw: unique symbol };

export function rawFromBytes(bytes: Uint8Array): RawPath {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1') as RawPath;
}

export function rawFromText(text: string): RawPath {
  return Buffer.from(text, 'utf8').toString('latin1') as RawPath;
}

export function rawToBytes(path: RawPath): Buffer {
  return Buffer.from(path, 'latin1');
}

/** The absolute path of an entry under a root, for Node's file functions. */
export function under(root: string, path: RawPath): Buffer {
  return path === '' ? Buffer.from(root) : Buffer.concat([Buffer.from(`${root}/`), rawToBytes(path)]);
}

export function joinRaw(folder: RawPath, name: RawPath): RawPath {
  return (folder === '' ? name : `${folder}/${name}`) as RawPath;
}

/** The folder that an entry lies in; '' is the root. */
export function parentOf(path: RawPath): RawPath {
  const slash = path.lastIndexOf('/');
  return (slash === -1 ? '' : path.slice(0, slash)) as RawPath;
}

/** Every folder above an entry, nearest first, without the root. */
export function ancestorsOf(path: RawPath): RawPath[] {
  const found: RawPath[] = [];
  for (let above = parentOf(path); above !== ''; above = parentOf(above)) found.push(above);
  return found;
}

/** For JSON: text where the bytes are UTF-8, else base64 with a mark that no path can begin with. */
export function rawToJson(path: RawPath): string {
  const bytes = rawToBytes(path);
  const text = bytes.toString('utf8');
  return Buffer.from(text, 'utf8').equals(bytes) ? text : `//base64:${bytes.toString('base64')}`;
}

export function rawFromJson(text: string): RawPath {
  return text.startsWith('//base64:')
    ? rawFromBytes(Buffer.from(text.slice(9), 'base64'))
    : rawFromText(text);
}

/** For people: one line, control characters visible. */
export function displayPath(path: RawPath): string {
  return visible(rawToBytes(path).toString('utf8'));
}
