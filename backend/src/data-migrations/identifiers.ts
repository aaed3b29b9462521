/** Names as SQL wants them. */
export const quote = {
  /** One name, whatever is in it. */
  name: (name: string): string => `"${name.replaceAll('"', '""')}"`,
  /** A table, with its schema where one is given: `users`, `public.users`. */
  table: (table: string): string => table.split('.').map(quote.name).join('.'),
  /** For people: without the quotes that only SQL needs. */
  plain: (name: string): string => name.replaceAll('"', ''),
};
