/*
 * What comes from a vendor or out of a database goes to a terminal, above a question: nothing in it moves the cursor,
 * and nothing makes text appear in another order than it has.
 */

const ODD = /[\p{Cc}\p{Bidi_Control}\u2028\u2029]/gu;

/** Text of several lines, without such characters. */
export const printable = (text: string): string =>
  text.replaceAll(ODD, (one) => (one === '\n' || one === '\t' ? one : ''));

/** A name, or a sentence with names: on one line, and what is odd in it can be seen. */
export const visible = (text: string): string =>
  text.replaceAll(ODD, (one) =>
    one < ' ' ? JSON.stringify(one).slice(1, -1) : `\\u${one.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
