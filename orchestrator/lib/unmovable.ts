import { accessSync, constants } from 'node:fs';
import { hasCode } from './errors.ts';

/**
 * Why an existing path cannot be renamed or changed, whoever asks: what chattr made immutable, what is mounted read-only.
 * Undefined where nothing of that kind stands in the way. Follows links.
 */
export function whyUnmovable(path: string | Buffer): string | undefined {
  try {
    accessSync(path, constants.W_OK);
  } catch (error) {
    if (hasCode(error, 'EPERM')) return 'immutable (chattr +i)';
    if (hasCode(error, 'EROFS')) return 'on a read-only mount';
  }
  return undefined;
}
