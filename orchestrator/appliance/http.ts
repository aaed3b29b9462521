import { request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';
import { formatBytes } from '../lib/units.ts';

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
}

/** What is asked here are health, versions and webhooks: an answer beyond this is none of them. */
const longestAnswerBytes = 4 * 1024 * 1024;

/**
 * One HTTP request on a connection of its own: a kept one could lead to a process that is gone.
 *
 * @param options.timeoutMs for the whole of it, however slowly the answer drips in
 * @throws Error if nobody answers, the time is over, or the answer has no end
 */
export async function ask(
  url: string,
  options: {
    timeoutMs: number;
    headers?: Readonly<Record<string, string>>;
    method?: string;
    body?: string;
    signal?: AbortSignal | undefined;
  },
): Promise<Answer> {
  const request = url.startsWith('https:') ? requestHttps : requestHttp;
  return await new Promise((resolve, reject) => {
    const outgoing = request(
      url,
      {
        method: options.method ?? 'GET',
        agent: false,
        headers: { accept: 'application/json, */*', ...options.headers },
        ...(options.signal ? { signal: options.signal } : {}),
      },
      (response) => {
        const chunks: Buffer[] = [];
        let bytes = 0;
        response.on('data', (chunk: Buffer) => {
          chunks.push(chunk);
          bytes += chunk.length;
          if (bytes > longestAnswerBytes)
            outgoing.destroy(new Error(`the answer is longer than ${formatBytes(longestAnswerBytes)}`));
        });
        response.once('error', reject);
        response.once('end', () => {
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            body: Buffer.concat(chunks).toString('utf8'),
          });
        });
      },
    );
    const timer = setTimeout(
      () => outgoing.destroy(new Error(`no whole answer within ${options.timeoutMs} ms`)),
      options.timeoutMs,
    );
    outgoing.once('close', () => clearTimeout(timer));
    outgoing.once('error', reject);
    outgoing.end(options.body);
  });
}

/** The value at a JSON pointer (RFC 6901), or undefined. */
export function atPointer(document: unknown, pointer: string): unknown {
  let value = document;
  for (const token of pointer.split('/').slice(1)) {
    const key = token.replaceAll('~1', '/').replaceAll('~0', '~');
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return undefined;
    value = (value as Record<string, unknown>)[key];
  }
  return value;
}
