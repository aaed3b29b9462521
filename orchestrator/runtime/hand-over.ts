import { execa } from 'execa';

/** Runs another program in our place, on our terminal, and resolves to its exit code. */
export async function handOver(file: string, args: readonly string[]): Promise<number> {
  const { HOLDFAST_RECOVERING: _, ...env } = process.env;
  const result = await execa(file, args, { stdio: 'inherit', reject: false, env, extendEnv: false });
  return result.exitCode ?? 1;
}
