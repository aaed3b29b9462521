import { chmodSync, mkdirSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ask } from '../appliance/http.ts';

const departments = [
  ['Goods in', 'GIN'],
  ['Machining', 'MAC'],
  ['Assembly', 'ASM'],
  ['Quality', 'QLT'],
  ['Paint shop', 'PNT'],
  ['Dispatch', 'DSP'],
] as const;
const kinds = ['Lathe', 'Mill', 'Press', 'Forklift', 'Gauge', 'Saw', 'Oven', 'Robot'] as const;
const machines = 600;
const atOnce = 6;

/** Puts departments and some hundreds of machines in, as its users would: through the API. Resolves to the rows. */
export async function fillDatabase(port: number, signal: AbortSignal): Promise<number> {
  const api = `http://127.0.0.1:${port}/api`;
  const ids: number[] = [];
  for (const [name, code] of departments) ids.push(await post(`${api}/departments`, { name, code }));
  let next = 0;
  const worker = async () => {
    while (next < machines) {
      signal.throwIfAborted();
      const number = (next += 1);
      await post(`${api}/machines`, {
        name: `${kinds[number % kinds.length]} ${number}`,
        serial: `SN-${String(number * 37).padStart(6, '0')}`,
        location: `Hall ${1 + (number % 4)}, bay ${1 + (number % 23)}`,
        departmentId: ids[number % ids.length],
      });
    }
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  return departments.length + machines;
}

async function post(url: string, body: object): Promise<number> {
  const answer = await ask(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
    timeoutMs: 10_000,
  });
  if (answer.status !== 201)
    throw new Error(`${url} answered ${answer.status}: ${answer.body.slice(0, 200)}`);
  return (JSON.parse(answer.body) as { id: number }).id;
}

/** Files of the users, with modes and times worth keeping. */
export function fillData(checkout: string): void {
  const folder = join(checkout, 'data', 'manuals');
  mkdirSync(folder, { recursive: true });
  for (const [index, kind] of kinds.entries()) {
    const path = join(folder, `${kind.toLowerCase()} manual.txt`);
    writeFileSync(path, `How to use a ${kind.toLowerCase()}.\n`.repeat(50 * (index + 1)));
    chmodSync(path, index % 2 === 0 ? 0o640 : 0o600);
    utimesSync(path, new Date(2024, index, 1), new Date(2024, index, 1, 12));
  }
  symlinkSync('lathe manual.txt', join(folder, 'newest'));
}
