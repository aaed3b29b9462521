import { messageOf } from '../../lib/errors.ts';
import type { Answer, AskOptions } from '../runtime.ts';
import type { LxdClient } from './client.ts';
import { askContainer } from './whole-output.ts';

/** What is asked here are health and versions: an answer beyond this is neither. */
const longestAnswerBytes = 4 * 1024 * 1024;

/** @see Runtime.ask Its headers may hold the gate's token: they go by standard input. */
export async function askInside(
  client: LxdClient,
  container: string,
  url: string,
  { timeoutMs, headers = {}, signal }: AskOptions,
): Promise<Answer> {
  const quoted = (text: string) => `"${text.replaceAll(/["\\]/g, String.raw`\$&`)}"`;
  const settings = [
    `url = ${quoted(url)}`,
    `max-time = ${Math.max(0.1, timeoutMs / 1000)}`,
    `max-filesize = ${longestAnswerBytes}`,
    ...['silent', 'show-error'],
    String.raw`write-out = "\n%{http_code}"`,
    ...Object.entries({ accept: 'application/json, */*', ...headers }).map(
      ([name, value]) => `header = ${quoted(`${name}: ${value}`)}`,
    ),
  ];
  try {
    const { stdout } = await askContainer(
      client,
      container,
      ['curl', '--config', '-'],
      { input: `${settings.join('\n')}\n`, timeoutMs: timeoutMs + 10_000 },
      { signal },
    );
    const at = stdout.lastIndexOf('\n');
    return { status: Number(stdout.slice(at + 1)), body: stdout.slice(0, at) };
  } catch (error) {
    signal?.throwIfAborted();
    throw new Error(/curl: \(\d+\) (.*)/.exec(messageOf(error))?.[1] ?? messageOf(error), { cause: error });
  }
}
