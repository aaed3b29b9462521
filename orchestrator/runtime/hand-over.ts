import { execa } from 'execa';
import type { Command } from './runtime.ts';

/** Runs another program in our place, on our terminal. Resolves to its exit code; undefined if a signal ended it. */
export async function handOver(file: string, args: readonly string[]): Promise<number | undefined> {
  const { HOLDFAST_RECOVERING: _, ...env } = process.env;
  const result = await execa(file, args, { stdio: 'inherit', reject: false, env, extendEnv: false });
  return result.exitCode;
}

/** Runs a command on our terminal, which it may ask. Resolves to its exit code; undefined if a signal ended it. */
export async function runOnTerminal({ file, args, cwd, env }: Command): Promise<number | undefined> {
  const result = await execa(file, args, {
    ...(cwd === undefined ? {} : { cwd }),
    ...(env === undefined ? {} : { env, extendEnv: false }),
    ...{ stdio: 'inherit', reject: false },
  });
  return result.exitCode;
}
