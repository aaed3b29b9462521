import { randomInt } from 'node:crypto';
import { connect, createServer } from 'node:net';

/** True if something on this machine accepts connections on the port. */
export async function isPortTaken(port: number): Promise<boolean> {
  return await new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1', timeout: 1000 });
    const answer = (taken: boolean) => {
      socket.destroy();
      resolve(taken);
    };
    socket.once('connect', () => answer(true));
    socket.once('timeout', () => answer(true));
    socket.once('error', () => answer(false));
  });
}

/** True if somebody accepts a connection there within that time. */
export async function isReachable(
  where: { host: string; port: number } | { path: string },
  timeoutMs: number,
): Promise<boolean> {
  return await new Promise((resolve) => {
    const socket = connect(where);
    const answer = (reachable: boolean) => {
      clearTimeout(timer);
      socket.destroy();
      resolve(reachable);
    };
    // The socket's own timeout does not cover the look-up of a name.
    const timer = setTimeout(() => answer(false), timeoutMs);
    socket.once('connect', () => answer(true));
    socket.once('error', () => answer(false));
  });
}

/**
 * Below the range from which the kernel takes ports for outgoing connections: one of them could take ours while it is
 * stopped, and a client that knocks at a closed port of that range may at last be connected to itself.
 */
const [firstPort, lastPort] = [15_000, 32_000];

/**
 * A port of the loopback interface that nobody uses now, and that no outgoing connection will use.
 *
 * @param except ports that were given out a moment ago
 */
export async function freePort(except: readonly number[] = []): Promise<number> {
  for (let attempt = 0; attempt < 100; attempt += 1) {
    const port = randomInt(firstPort, lastPort);
    if (!except.includes(port) && (await canListen(port))) return port;
  }
  throw new Error(`no port between ${firstPort} and ${lastPort} is free`);
}

async function canListen(port: number): Promise<boolean> {
  return await new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}
