import { randomInt } from 'node:crypto';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
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
 * Processes that listen on a TCP port of this machine, as far as we may look (other users' are hidden from an ordinary
 * one): /proc/net/tcp names the socket (proc(5)), their open files who holds it.
 *
 * @param among looks at these processes only, which is quicker
 */
export function findListeners(port: number, among: (pid: number) => boolean = () => true): number[] {
  const candidates = readdirSync('/proc')
    .map(Number)
    .filter((pid) => Number.isInteger(pid) && among(pid));
  // The kernel walks all that a table has room for: milliseconds, on a machine with much memory.
  if (candidates.length === 0) return [];
  const sockets = new Set(['/proc/net/tcp', '/proc/net/tcp6'].flatMap((table) => listening(table, port)));
  if (sockets.size === 0) return [];
  return candidates.filter((pid) => openFiles(pid).some((file) => sockets.has(file)));
}

const listenState = '0A';

/** The sockets in such a table that listen on the port, as links of open files name them. */
function listening(table: string, port: number): string[] {
  const wanted = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  return readTable(table).flatMap((line) => {
    const [, local, , state, , , , , , inode] = line.trim().split(/\s+/);
    return state === listenState && local?.endsWith(wanted) ? [`socket:[${inode}]`] : [];
  });
}

/** A kernel without IPv6 has no table of it. */
function readTable(path: string): string[] {
  try {
    return readFileSync(path, 'utf8').split('\n').slice(1);
  } catch {
    return [];
  }
}

function openFiles(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/fd`).map((descriptor) => linkOf(`/proc/${pid}/fd/${descriptor}`));
  } catch {
    return [];
  }
}

function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return '';
  }
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
