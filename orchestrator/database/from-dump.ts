import type { PostgresClients } from './clients.ts';
import { quoteIdentifier } from './connection.ts';
import type { PostgresFacts } from './database-facts.ts';
import type { Replacement } from './engine.ts';
import { compareContents, readFacts } from './facts.ts';
import { verifySameServer } from './requirements.ts';
import { verifyRolesExist } from './roles.ts';
import { scratchDatabase, type ScratchDatabase } from './scratch.ts';
import { createReplacement, dropDatabase, markOf, replacementName } from './swap.ts';

/* What is made from a dump: the replacement of a restore, and databases to try things on. */

/** As `Database.prepareReplacement`. */
export async function prepareReplacement(
  clients: PostgresClients,
  file: string,
  facts: PostgresFacts,
  runId: string,
): Promise<Replacement> {
  const client = await clients.maintenance();
  await verifySameServer(client, facts);
  await verifyRolesExist(client, facts.roles ?? []);
  const mark = markOf(facts.name, runId);
  const pair = await createReplacement(client, facts, mark);
  const differences = await fillFromDump(clients, file, facts, replacementName(mark));
  if (differences.length > 0)
    throw new Error(`the dump did not bring everything back: ${differences.join('; ')}`);
  return pair;
}

/**
 * Restores a dump into an empty database.
 *
 * @returns what is in there and not as the facts say, as lines for people
 */
async function fillFromDump(
  clients: PostgresClients,
  file: string,
  facts: PostgresFacts,
  name: string,
): Promise<string[]> {
  const client = await clients.maintenance();
  await client.restore(file, name);
  // Statistics are not in a dump; without them the restored version would be slow for minutes.
  await client.execute('analyze;', { database: name, timeoutMs: 600_000 });
  return compareContents(facts, await readFacts(await clients.inside(name), facts.name));
}

/** As `Database.tryDump`. */
export async function tryDump(
  clients: PostgresClients,
  file: string,
  facts: PostgresFacts,
): Promise<string[]> {
  const client = await clients.maintenance();
  const scratch = markOf(await clients.name(), 'verify');
  try {
    await createReplacement(client, facts, scratch);
    return await fillFromDump(clients, file, facts, replacementName(scratch));
  } finally {
    await dropDatabase(client, replacementName(scratch));
  }
}

/**
 * As `Database.withScratch`.
 *
 * @param facts whose properties it gets
 * @param dump what fills it; it is empty without
 */
export async function withScratch<T>(
  clients: PostgresClients,
  facts: PostgresFacts,
  dump: string | undefined,
  work: (scratch: ScratchDatabase) => Promise<T>,
): Promise<T> {
  const client = await clients.maintenance();
  const mark = markOf(await clients.name(), 'scratch');
  const name = replacementName(mark);
  try {
    await createReplacement(client, facts, mark);
    // Programs come as the service's user, who owns the live one.
    await client.execute(`alter database ${quoteIdentifier(name)} owner to ${quoteIdentifier(facts.owner)};`);
    if (dump !== undefined) await client.restore(dump, name);
    await client.execute('analyze;', { database: name, timeoutMs: 600_000 });
    const connection = { ...(await clients.server.admin()), database: name };
    const variables = await clients.server.variables('service', name);
    const service = await clients.insideAsService(name);
    return await work(scratchDatabase(await clients.inside(name), service, connection, variables));
  } finally {
    await dropDatabase(client, name);
  }
}
