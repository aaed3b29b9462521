/**
 * The same command as another user. `setpriv` (util-linux) changes ids and executes; unlike `su` and `sudo` it
 * starts no shell, opens no session and keeps the environment that it was given.
 */
export function asUser(
  user: string | undefined,
  file: string,
  args: readonly string[],
): { file: string; args: readonly string[] } {
  if (user === undefined || process.getuid?.() !== 0) return { file, args };
  return {
    file: 'setpriv',
    args: [`--reuid=${user}`, `--regid=${user}`, '--clear-groups', '--', file, ...args],
  };
}
