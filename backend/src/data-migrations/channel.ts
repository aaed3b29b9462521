import type { ChildProcess } from 'node:child_process';
import { Duplex } from 'node:stream';
import type { FromWorker, ToWorker } from './protocol.ts';

/** The file descriptor by which a process of a migration and the engine talk, one JSON object a line. */
export const CHANNEL_FD = 3;
/** Whoever says more than this without an end of the line has nothing to say. */
const LONGEST_MESSAGE = 256 * 1024 * 1024;

/** What came on it is not to be trusted: whatever runs in that process can write there. */
export interface Channel {
  send(message: ToWorker): void;
}

/**
 * The engine's end. Node's own IPC would end the engine with a SyntaxError at the first line that is no JSON.
 *
 * @param hear gets each object that was written; it returns false for what no worker says
 * @param onGarbage is called once, for whatever else is found there; nothing is heard after that. A line without an end is
 *   none: the process may have been killed while it wrote
 */
export function openChannel(
  child: ChildProcess,
  hear: (message: unknown) => boolean,
  onGarbage: () => void,
): Channel {
  const stream = child.stdio[CHANNEL_FD];
  if (!(stream instanceof Duplex)) return { send: () => {} };
  let parts: string[] = [];
  let length = 0;
  let isGarbage = false;
  const take = (line: string): boolean => {
    try {
      return hear(JSON.parse(line));
    } catch {
      return false;
    }
  };
  // The process was gone before it was told.
  stream.on('error', () => {});
  stream.setEncoding('utf8').on('data', (text: string) => {
    if (isGarbage) return;
    const lines = text.split('\n');
    const [first = '', ...others] = lines;
    parts.push(first);
    length += first.length;
    for (const rest of others) {
      isGarbage ||= !take(parts.join(''));
      parts = [rest];
      length = rest.length;
    }
    if (!isGarbage && length <= LONGEST_MESSAGE) return;
    isGarbage = true;
    parts = [];
    onGarbage();
  });
  return {
    send: (message) => {
      if (stream.writable) stream.write(`${JSON.stringify(message)}\n`);
    },
  };
}

/** @returns undefined for what no worker says, and for an outcome that only claims to be the worker's. */
export function readFromWorker(message: unknown, secret: string): FromWorker | undefined {
  if (!isObject(message)) return undefined;
  const isRight = (): boolean => {
    switch (message['type']) {
      case 'ready':
        return true;
      case 'log':
        return typeof message['message'] === 'string';
      case 'progress': {
        const { progress } = message;
        return isObject(progress) && [progress['done'], progress['rate']].every(Number.isFinite);
      }
      case 'failed':
        return typeof message['error'] === 'string';
      case 'described':
        return message['secret'] === secret && isObject(message['description']);
      case 'done':
        return message['secret'] === secret && isObject(message['done']);
      default:
        return false;
    }
  };
  return isRight() ? (message as unknown as FromWorker) : undefined;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
