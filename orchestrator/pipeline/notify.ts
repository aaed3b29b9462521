import { ask } from '../appliance/http.ts';
import type { Appliance } from '../appliance/appliance.ts';
import { toArgv } from '../appliance/services.ts';
import { baseEnvironment, readApplianceEnvironment, substitute } from '../config/environment.ts';
import type { NotificationConfig } from '../config/schema.ts';
import { messageOf, Refusal } from '../lib/errors.ts';
import type { RunOutcome } from './journal-entries.ts';
import type { Run } from './run.ts';

/** What a webhook or a command is told of a run. */
export interface Notification {
  readonly event: NotificationConfig['on'][number];
  readonly appliance: string;
  readonly run: string;
  readonly from: string;
  readonly to: string;
  readonly message: string;
  readonly outageMs: number;
}

/**
 * Calls every configured webhook and command that wants to know of this event. Boxes are updated by timers, and nobody
 * reads their mail. One that fails is a warning: it can undo nothing.
 */
export async function notifyAll(
  appliance: Appliance,
  notification: Notification,
  warn: (message: string) => void,
): Promise<void> {
  const wanted = appliance.config.notify.filter((entry) => entry.on.includes(notification.event));
  await Promise.all(
    wanted.map(async (entry) => {
      try {
        await notifyOne(appliance, entry, notification);
      } catch (error) {
        warn(`could not notify ${nameOf(entry)}: ${messageOf(error)}`);
      }
    }),
  );
}

/** Who was to be told: of a webhook its host at most, since its path lets people in. */
function nameOf({ url, command }: NotificationConfig): string {
  if (url === undefined) return String(command);
  return URL.canParse(url) && !url.includes('{env.') ? new URL(url).origin : 'the webhook of notify';
}

async function notifyOne(
  appliance: Appliance,
  entry: NotificationConfig,
  notification: Notification,
): Promise<void> {
  const body = JSON.stringify(notification);
  if (entry.url !== undefined) {
    const url = fillUrl(appliance, entry.url);
    const answer = await ask(url, {
      method: 'POST',
      timeoutMs: entry.timeout,
      body,
      headers: { 'content-type': 'application/json' },
    });
    if (answer.status >= 300) throw new Error(`it answered ${answer.status}`);
    return;
  }
  const [file = '', ...args] = toArgv(entry.command ?? '');
  await appliance.runtime.run({
    file,
    args,
    cwd: appliance.directory,
    input: body,
    timeoutMs: entry.timeout,
    env: {
      ...baseEnvironment(appliance.node),
      HOLDFAST_EVENT: notification.event,
      HOLDFAST_MESSAGE: notification.message,
    },
    label: 'notify',
  });
}

/** A webhook's URL with what an env file says. Throws Refusal for a variable that has no value, and for what is no URL. */
function fillUrl({ config, directory, secrets }: Appliance, url: string): string {
  if (!url.includes('{env.')) return url;
  const filled = substitute(url, { env: readApplianceEnvironment(config, directory, secrets) });
  secrets.add(filled);
  if (!/^https?:/.test(filled) || !URL.canParse(filled))
    throw new Refusal('what it is filled with is no http:// or https:// URL');
  return filled;
}

/** Tells the outcome of a run to everybody who wants to know. */
export async function tellOthers(
  appliance: Appliance,
  run: Run,
  outcome: RunOutcome,
  message: string,
  warn: (message: string) => void,
): Promise<void> {
  const { id, started } = run;
  await notifyAll(
    appliance,
    {
      event: eventOf(outcome),
      appliance: appliance.config.name,
      run: id,
      from: started.fromLabel,
      to: started.toLabel,
      message: appliance.secrets.mask(message),
      outageMs: 0,
    },
    warn,
  );
}

/** What an outcome is called in `notify.on`. */
export function eventOf(outcome: RunOutcome): Notification['event'] {
  switch (outcome) {
    case 'updated':
    case 'rolled-back':
    case 'migrated':
    case 'restored':
    case 'not-restored':
      return outcome;
    case 'backed-up':
      return 'backup';
    case 'refused':
    case 'interrupted':
    case 'failed-unchanged':
      return 'refused';
  }
}
