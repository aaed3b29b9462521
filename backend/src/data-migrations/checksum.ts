import { createHash } from 'node:crypto';

/** SHA-256 of a text; a checkout on another system has other line endings, and the same migration. */
export function checksumOf(text: string): string {
  return createHash('sha256')
    .update(text.replaceAll('\r\n', '\n').replace(/^\uFEFF/, ''))
    .digest('hex');
}
