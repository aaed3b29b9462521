import { CHANNEL_FD } from './channel.ts';
import type { Job } from './protocol.ts';
import { databaseOf, isSqlite } from './database-url.ts';
import { dryRunName, nameElsewhere, sessionName } from './session-name.ts';
import { nowhere } from './sqlite/nowhere.ts';
import { redirected } from './sqlite/redirect.ts';
import { MARK, realFile } from './sqlite/users.ts';

/**
 * What a process of a migration finds in its environment. By their name the server's sides of its database sessions are
 * found, and ended, when they are left behind: it wins over one that is in the address, for those who go by that alone.
 */
export function environmentFor(
  job: Pick<Job, 'id' | 'url' | 'copyOf' | 'dryRun' | 'task'>,
): Record<string, string> {
  if (isSqlite(job.url)) return sqliteEnvironmentFor(job);
  // What is only looked at may not write either: its top level runs.
  const isTried = job.dryRun || job.task === 'describe';
  const name = isTried ? dryRunName(job.id) : sessionName(job.id);
  const url = new URL(job.url);
  const database = databaseOf(url);
  if (url.searchParams.has('application_name')) url.searchParams.set('application_name', name);
  return {
    ...(isTried ? { ...readOnly(url), HOLDFAST_READ_ONLY: '1' } : { DATABASE_URL: url.href }),
    PGAPPNAME: name,
    HOLDFAST_SESSION_NAME: name,
    HOLDFAST_DATABASE: database,
    HOLDFAST_SESSION_NAME_ELSEWHERE: isTried ? name : `${nameElsewhere(database)} ${job.id}`.slice(0, 63),
  };
}

/**
 * What is only looked at gets an empty database, and a dry run a copy, by whatever variable they go. By the mark those are
 * found that a killed runner left at work.
 */
function sqliteEnvironmentFor({
  url,
  copyOf,
  task,
}: Pick<Job, 'url' | 'copyOf' | 'task'>): Record<string, string> {
  if (task === 'describe') return { ...redirected(url, nowhere()), DATABASE_URL: nowhere() };
  const others = copyOf === undefined ? {} : redirected(copyOf, url);
  return { ...others, DATABASE_URL: url, [MARK]: realFile(url.slice('file:'.length)) };
}

/** Besides, for a script. @param isGuarded it looks whether it is run before it calls what it is for */
export function scriptEnvironment(job: Job, isGuarded: boolean): Record<string, string> {
  return { ...environmentFor(job), HOLDFAST_CHANNEL: `${CHANNEL_FD}${isGuarded ? ' guarded' : ''}` };
}

/**
 * The server refuses to write through a client of its own, unless it asks for it outright, by a BEGIN READ WRITE for
 * instance. The guard sees to whatever is JavaScript (session-guard.mjs); this is for drivers that are not.
 */
function readOnly(url: URL): Record<string, string> {
  const option = '-c default_transaction_read_only=on';
  const options = url.searchParams.get('options');
  url.searchParams.set('options', options === null ? option : `${options} ${option}`);
  return { DATABASE_URL: url.href, PGOPTIONS: option };
}
