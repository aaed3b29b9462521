import { execa } from 'execa';

/** Runs another program in our place, on our terminal. Resolves to its exit code; undefined if a signal ended it. */
export async function handOver(file: string, args: readonly string[]): Promise<number | undefined> {
  const { HOLDFAST_RECOVERING: _, ...env } = process.env;
  const result = await execa(file, args, { stdio: 'inherit', reject: false, env, extendEnv: false });
  return result.exitCode;
}
