import { invalid } from '../api-error.ts';

/** A text that people read: not blank, of bounded length, without the NUL that PostgreSQL cannot store. */
export const NAME = {
  type: 'string',
  maxLength: 200,
  pattern: String.raw`^[^\u0000]*[^\s\u0000][^\u0000]*$`,
};

/** A text that may be empty. */
export const TEXT = { type: 'string', maxLength: 500, pattern: String.raw`^[^\u0000]*$` };

/** The same, or null for "none". */
export const OPTIONAL_TEXT = { ...TEXT, type: ['string', 'null'] };

/** A query in which each parameter stands once: a repeated one would arrive as a list. */
export const QUERY = { type: 'object', additionalProperties: { type: 'string' } };

const MAX_ID = 2_147_483_647;

/** The id of a record that may be unset. */
export const OPTIONAL_ID = { type: ['integer', 'null'], minimum: 1, maximum: MAX_ID };

/** The part of a list that was asked for. */
export interface Page {
  readonly limit: number;
  readonly offset: number;
}

/**
 * Reads `limit` (1 to 200, 50 unless told) and `offset` (0 unless told).
 *
 * @throws ApiError 400 that names the parameter.
 */
export function parsePage(query: { readonly limit?: string; readonly offset?: string }): Page {
  return {
    limit: parseWhole('limit', query.limit ?? '50', 1, 200),
    offset: parseWhole('offset', query.offset ?? '0', 0, MAX_ID),
  };
}

/**
 * Reads the id in a path or a query.
 *
 * @throws ApiError 400 that names the parameter.
 */
export function parseId(text: string, field = 'id'): number {
  return parseWhole(field, text, 1, MAX_ID);
}

function parseWhole(field: string, text: string, minimum: number, maximum: number): number {
  const number = Number(text);
  if (/^\d{1,10}$/.test(text) && number >= minimum && number <= maximum) return number;
  throw invalid(field, `"${field}" must be a whole number from ${minimum} to ${maximum}.`);
}
