import { messageOf } from '../../lib/errors.ts';
import { isRecord } from './is-record.ts';
import { KnownError, knownCodeOf } from './errors.ts';

export type RequestId = number | string;

export interface RpcRequest {
  readonly id: RequestId;
  readonly method: string;
  readonly params: unknown;
}

export interface RpcError {
  readonly code: number;
  readonly message: string;
  readonly data: Readonly<Record<string, unknown>>;
}

/** A request for something that this engine does not have. */
export class UnknownMethodError extends Error {
  constructor(method: string) {
    super(`cannot run ${method}: this schema engine has no such method`);
    this.name = 'UnknownMethodError';
  }
}

/** Codes of JSON-RPC, and the one under which the native engine reports whatever went wrong in a method. */
const rpcCodes = { unknownMethod: -32_601, failed: 4466 };

/**
 * Splits a stream at line feeds, and at nothing else: Node's readline also splits at U+2028 and U+2029, which JSON
 * leaves as they are and a migration may contain.
 */
export async function* linesOf(input: AsyncIterable<Buffer>): AsyncGenerator<string> {
  let parts: Buffer[] = [];
  for await (const chunk of input) {
    let start = 0;
    for (let end = chunk.indexOf(10); end !== -1; end = chunk.indexOf(10, start)) {
      parts.push(chunk.subarray(start, end));
      yield Buffer.concat(parts).toString('utf8');
      parts = [];
      start = end + 1;
    }
    if (start < chunk.length) parts.push(chunk.subarray(start));
  }
}

/**
 * Reads one line. Undefined for what is no request: an empty line, or the CLI's answer to our `print`.
 *
 * @throws {SyntaxError} when it is not JSON.
 */
export function parseRequest(line: string): RpcRequest | undefined {
  if (line.trim() === '') return undefined;
  const value: unknown = JSON.parse(line);
  if (!isRecord(value)) return undefined;
  const { id, method, params } = value;
  if (typeof method !== 'string' || (typeof id !== 'number' && typeof id !== 'string')) return undefined;
  return { id, method, params: params ?? {} };
}

/**
 * One message as one line. U+2028 and U+2029 are escaped because the CLI reads with readline, which ends a line there
 * and loses the answer (and a CLI that waits for a lost answer ends with exit 0).
 */
export function encodeMessage(message: Readonly<Record<string, unknown>>): string {
  const json = JSON.stringify({ jsonrpc: '2.0', ...message }, plainValue);
  return `${json.replaceAll('\u2028', String.raw`\u2028`).replaceAll('\u2029', String.raw`\u2029`)}\n`;
}

/** What the WebAssembly engine may return that JSON cannot hold. */
function plainValue(_key: string, value: unknown): unknown {
  if (value instanceof Map) return Object.fromEntries(value);
  return typeof value === 'bigint' ? Number(value) : value;
}

/**
 * An error in the form from which the CLI prints "Error: P3018" and the message. Never `is_panic`: the CLI would offer
 * the operator to send a report to Prisma, and on a terminal wait for the reply.
 */
export function toRpcError(error: unknown): RpcError {
  if (error instanceof UnknownMethodError) {
    return { code: rpcCodes.unknownMethod, message: error.message, data: { message: error.message } };
  }
  const code = knownCodeOf(error);
  return {
    code: rpcCodes.failed,
    message: 'An error happened. Check the data field for details.',
    data: {
      is_panic: false,
      message: messageOf(error),
      meta: error instanceof KnownError ? error.meta : null,
      ...(code === undefined ? {} : { error_code: code }),
    },
  };
}
