import { findChildren, processTitle, signalProcess } from '../lib/processes.ts';
import { waitFor } from '../lib/wait.ts';

/*
 * A server process is forked when somebody connects, and takes the access rules with it that held then. Until its client
 * has said who he is, a minute later at most (authentication_timeout), no list of sessions names it; and then it goes by
 * the old rules. Whoever closes the door has to look for those who stand in it.
 */

/** `postgres: app ledger 127.0.0.1(40404) authentication`; before it knows even that, the title is the postmaster's own. */
const isArriving = (title: string): boolean =>
  !title.startsWith('postgres:') ||
  /^postgres: .*\) (?:initializing|authentication|startup)$|\[local\] (?:initializing|authentication|startup)$/.test(
    title,
  );

/**
 * Ends the server processes whose clients have not been let in yet. They end at once and without harm: a session has not
 * begun. To be called once new rules are in force. May be run twice.
 *
 * @param postmaster its process id
 * @throws Error if one of them does not end
 */
export async function endNewcomers(postmaster: number): Promise<void> {
  const arriving = findChildren(postmaster).filter((pid) => isArriving(processTitle(pid)));
  for (const pid of arriving) signalProcess(pid, 'SIGTERM');
  const gone = await waitFor(
    () => {
      const there = new Set(findChildren(postmaster));
      return arriving.some((pid) => there.has(pid)) ? undefined : true;
    },
    { timeoutMs: 10_000, everyMs: 10 },
  );
  if (!gone) throw new Error('a connection to the database that was just being made does not end');
}
