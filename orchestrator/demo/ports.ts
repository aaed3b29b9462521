import { createServer } from 'node:net';

/*
 * Below the range from which the kernel takes ports for outgoing connections: a client that knocks at a closed port
 * of that range hundreds of times, as ours does, may at last be connected to itself, and then holds the port.
 */
const lowest = 15_000;
const highest = 31_999;

/** A free port on loopback, chosen at random, so that two sandboxes hardly meet. */
export async function findFreePort(except: readonly number[] = []): Promise<number> {
  for (let attempt = 0; attempt < 100; attempt += 1) {
    const port = lowest + Math.floor(Math.random() * (highest - lowest + 1));
    if (!except.includes(port) && (await isFree(port))) return port;
  }
  throw new Error(`no free port was found between ${lowest} and ${highest}`);
}

async function isFree(port: number): Promise<boolean> {
  return await new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}
