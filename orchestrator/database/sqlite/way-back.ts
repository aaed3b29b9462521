import { statSync } from 'node:fs';
import { join } from 'node:path';
import { renameDurably } from '../../lib/atomic-file.ts';
import { isDiskFull, messageOf, Refusal } from '../../lib/errors.ts';
import { shellWord } from '../../lib/shell-word.ts';
import { waitFor } from '../../lib/wait.ts';
import type { Runtime } from '../../runtime/runtime.ts';
import { giveAttributes } from './attributes.ts';
import type { SqliteClient } from './client.ts';
import { factsOf } from './facts.ts';
import { describeHolders, findHolders, findStrangers, type Holder } from './holders.ts';
import { besideFolder } from './places.ts';
import { ensureBesideFolder, removeSet } from './swap.ts';

/** How long programs that are about to end may take to let go of the file. */
const patienceMs = 5000;

/**
 * Proves that a restore can be walked: see `Database`.
 *
 * @param servicesFolder by which the services are known that will be stopped
 */
export async function proveWayBack(
  file: string,
  client: SqliteClient,
  runtime: Runtime,
  servicesFolder: string,
): Promise<void> {
  const facts = factsOf(file, await client.ask('properties', file));
  if (statSync(file).nlink > 1)
    throw new Refusal(
      `cannot prove the way back: ${file} has another name (a hard link), and a restore gives the name to another file`,
      'remove the other name; a copy of the file does what it was for',
    );
  const strangers = findStrangers(file, servicesFolder, await runtime.startedServices(servicesFolder));
  if (strangers.length > 0) throw heldOpen('go on', strangers);
  const folder = besideFolder(file);
  const [tried, renamed] = [join(folder, `try-${process.pid}`), join(folder, `try-${process.pid}-renamed`)];
  try {
    ensureBesideFolder(file);
    await client.ask('create', tried);
    giveAttributes(tried, facts);
    renameDurably(tried, renamed);
    await client.ask('quick-check', file);
  } catch (error) {
    if (error instanceof Refusal) throw error;
    const makeRoom = `make room (df -h ${shellWord(folder)} and df -i show where it is missing), then try again`;
    throw new Refusal(
      `cannot prove the way back: ${messageOf(error)}`,
      isDiskFull(error)
        ? makeRoom
        : `run this as root or as the owner of ${file}, in a folder that is theirs; of a damaged database ./run.sh rollback brings back the last good one`,
      error,
    );
  } finally {
    removeSet(tried);
    removeSet(renamed);
  }
}

/**
 * @param what cannot be done otherwise, in words
 * @param orElse what may do it too, before "stop it"
 * @throws Refusal that names who has the file open
 */
export async function untilNobodyHasIt(file: string, what: string, orElse = ''): Promise<void> {
  let holders: Holder[] = [];
  const free = await waitFor(
    () => {
      holders = findHolders(file);
      return holders.length === 0 ? true : undefined;
    },
    { timeoutMs: patienceMs },
  );
  if (!free) throw heldOpen(what, holders, orElse);
}

function heldOpen(what: string, holders: readonly Holder[], orElse = ''): Refusal {
  const [verb, pids] = [holders.length === 1 ? 'has' : 'have', holders.map(({ pid }) => pid).join(' ')];
  return new Refusal(
    `cannot ${what}: ${describeHolders(holders)} ${verb} the database open, and would write into it unseen`,
    `${orElse}stop it (kill ${pids}), then try again`,
  );
}
