import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { LxdClient } from './client.ts';

/**
 * A command of a container at this terminal, as `shell` and `exec` give it. It is the operator's own: no unit, and it ends
 * with the terminal.
 *
 * @returns its exit code
 */
export async function attach(
  client: LxdClient,
  container: string,
  { argv, cwd }: { readonly argv: readonly string[]; readonly cwd: string },
): Promise<number> {
  const { file, args } = client.command(['exec', container, '--cwd', cwd, '--', ...argv]);
  const child = spawn(file, args, { stdio: 'inherit' });
  // Ctrl-C is for what runs inside.
  const ignore = () => {};
  process.on('SIGINT', ignore);
  try {
    const [code] = (await once(child, 'exit')) as [number | null];
    return code ?? 1;
  } finally {
    process.off('SIGINT', ignore);
  }
}
