/**
 * Values that must never reach a log, an event, an error or a terminal. Values come from env files and generated
 * passwords; every text on its way out goes through `mask`.
 */
export class Secrets {
  readonly #values = new Set<string>();

  /** Short values would mask half of every text: fewer than 6 characters are left alone. */
  add(value: string): void {
    // Programs print a key of several lines line by line.
    const lines = value.split(/\r?\n/);
    if (lines.length > 1) for (const line of lines) this.add(line);
    if (value.length < 6) return;
    this.#values.add(value);
    // The same secret stands percent-encoded in a URL.
    this.#values.add(encodeURIComponent(value));
    this.#values.add(JSON.stringify(value).slice(1, -1));
    // And in base64, by itself, in either alphabet.
    this.#values.add(Buffer.from(value).toString('base64').replace(/=+$/, ''));
    this.#values.add(Buffer.from(value).toString('base64url'));
  }

  /** Hides every known value in a text, and the password of every URL. */
  mask(text: string): string {
    let masked = text;
    // Longest first: a secret may contain another.
    for (const value of [...this.#values].toSorted((a, b) => b.length - a.length)) {
      masked = masked.replaceAll(value, '***');
    }
    return maskUrls(masked);
  }
}

/** Hides the password of every URL in a text, known to us or not. */
export function maskUrls(text: string): string {
  // A scheme is short: without that limit a long line of a build (40 kB of "a.a.a") took five seconds.
  return text.replaceAll(/(\b[a-z][a-z0-9+.-]{0,30}:\/\/[^\s:/@]*:)[^\s@]+@(?:[^\s/@]*@)*/gi, '$1***@');
}

/** Words of ours that programs read. A secret that happens to be one of them must not blot it out. */
const ownWords = new Set(['type', 'step', 'half', 'state', 'kind', 'phase', 'outcome', 'level', 'time']);

/** JSON with every text in it cleaned: cleaning the finished line could eat its quotation marks, or a number. */
export function stringifyMasked(value: unknown, clean: (text: string) => string): string {
  return JSON.stringify(value, (key, inner: unknown) =>
    typeof inner === 'string' && !ownWords.has(key) ? clean(inner) : inner,
  );
}
