import path from 'node:path';

/** The line of a file that an error came from, by its stack; undefined where that does not name the file. */
export function findLine(error: unknown, file: string): number | undefined {
  const stack = error instanceof Error ? (error.stack ?? '') : '';
  const name = path.basename(file);
  const at = stack.lastIndexOf(`${name}:`);
  const line = at === -1 ? undefined : /^\d+/.exec(stack.slice(at + name.length + 1))?.[0];
  return line === undefined ? undefined : Number(line);
}
