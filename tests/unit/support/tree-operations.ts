import {
  chmodSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import fc from 'fast-check';

/** What programs do to trees. Names are latin1: each character is one byte. */
export type Operation =
  | { readonly do: 'write' | 'delete' | 'mkdir' | 'forge'; readonly path: string; readonly text: string }
  | { readonly do: 'chmod'; readonly path: string; readonly mode: number }
  | { readonly do: 'touch'; readonly path: string; readonly seconds: number }
  | { readonly do: 'rename' | 'link' | 'symlink'; readonly path: string; readonly other: string };

const names = ['a', 'b', 'c', 'two\nlines', '\xff\xfe', 'caf\xc3\xa9', '-rf', '*', 'data', 'one', 'same'];
const path = fc
  .array(fc.constantFrom(...names), { minLength: 1, maxLength: 3 })
  .map((parts) => parts.join('/'));

/** Any operation on a small set of names, so that operations meet. */
export const operation: fc.Arbitrary<Operation> = fc.oneof(
  fc.record({
    do: fc.constantFrom('write' as const, 'delete' as const, 'mkdir' as const, 'forge' as const),
    path,
    text: fc.string({ maxLength: 6 }),
  }),
  fc.record({
    do: fc.constant('chmod' as const),
    path,
    mode: fc.constantFrom(0o755, 0o700, 0o555, 0o500, 0o1777, 0o4755, 0o2775, 0o644, 0o600, 0o400),
  }),
  fc.record({ do: fc.constant('touch' as const), path, seconds: fc.integer({ min: 0, max: 2_000_000_000 }) }),
  fc.record({
    do: fc.constantFrom('rename' as const, 'link' as const, 'symlink' as const),
    path,
    other: path,
  }),
);

/** Does what can be done; an operation on something that is not there does nothing. */
export function operate(root: string, operations: readonly Operation[]): void {
  for (const one of operations) {
    try {
      operateOnce(root, one);
    } catch (error) {
      if (!(error instanceof Error && 'code' in error)) throw error;
    }
  }
}

function operateOnce(root: string, one: Operation): void {
  const at = (relative: string) => Buffer.from(`${root}/${relative}`, 'latin1');
  const full = at(one.path);
  switch (one.do) {
    case 'write':
      return writeFileSync(full, one.text);
    case 'delete':
      return rmSync(full, { recursive: true });
    case 'mkdir':
      return void mkdirSync(full, { recursive: true });
    case 'forge': {
      // Other bytes of the same number, and the old times: what a comparison by size and time does not see.
      const stat = lstatSync(full);
      if (!stat.isFile()) return;
      writeFileSync(full, Buffer.from(readFileSync(full).map((byte) => 255 - byte)));
      return utimesSync(full, stat.atime, stat.mtime);
    }
    case 'chmod':
      // A folder must stay one that its owner can look into.
      return chmodSync(full, lstatSync(full).isDirectory() ? one.mode | 0o500 : one.mode | 0o400);
    case 'touch':
      return utimesSync(full, one.seconds, one.seconds + 0.123456);
    case 'rename':
      return renameSync(full, at(one.other));
    case 'link':
      return linkSync(full, at(one.other));
    case 'symlink':
      return symlinkSync(Buffer.from(one.other, 'latin1'), full);
  }
}
