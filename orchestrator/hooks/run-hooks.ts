import { runMark } from '../appliance/appliance.ts';
import { baseEnvironment, readApplianceEnvironment } from '../config/environment.ts';
import type { Config } from '../config/schema.ts';
import { messageOf, Refusal } from '../lib/errors.ts';
import type { StepContext } from '../pipeline/step.ts';
import { findHooks, hookSettings, type Hook, type HookPoint, type When } from './find-hooks.ts';

/** At which point of a run hooks are called. */
export interface HookCall {
  readonly when: When;
  readonly point: HookPoint;
  /** Whether they reach the database past the fence, as in the window, or as everybody does. */
  readonly reach: 'window' | 'outside';
  /** The migration that it is about. */
  readonly migration?: string;
}

/**
 * Runs the hooks of a point one after another, as they lie in the checkout at this moment: the installed version's
 * until the code was pulled, the new one's from then on. What they leave running is ended with them.
 *
 * @throws Refusal if one before the point fails or takes too long; after it that is a warning. The signal's reason, if
 *   it fires meanwhile
 */
export async function runHooks(context: StepContext, call: HookCall): Promise<void> {
  const { appliance, runId, signal, warn } = context;
  const config = configNow(context);
  const hooks = findHooks(appliance.directory, config, call.when, call.point);
  if (hooks.length === 0) return;
  try {
    await runAll(context, config, hooks, call);
  } catch (error) {
    signal.throwIfAborted();
    if (call.when === 'before') throw error;
    warn(messageOf(error));
  } finally {
    // A daemon that a hook left behind would write under the feet of a restore, and outlive the run.
    await appliance.runtime
      .endRun(runMark(appliance, runId))
      .catch((error: unknown) => warn(messageOf(error)));
  }
}

async function runAll(
  context: StepContext,
  config: Config,
  hooks: readonly Hook[],
  call: HookCall,
): Promise<void> {
  const env = await environmentOf(context, config, call);
  for (const hook of hooks) {
    try {
      await runHook(context, config, hook, env);
    } catch (error) {
      context.signal.throwIfAborted();
      const message = `hook ${messageOf(error)}`;
      if (call.when === 'before')
        throw new Refusal(message, 'mend what it says, or the hook itself, then try again', error);
      // The others have nothing to do with it.
      context.warn(message);
    }
  }
}

/**
 * What calls the hooks around each single migration. Undefined where there are none: then all may be applied at once.
 */
export function hooksAround(
  context: StepContext,
  point: 'migration' | 'data-migration',
  reach: HookCall['reach'],
): ((migration: string, work: () => Promise<void>) => Promise<void>) | undefined {
  const config = configNow(context);
  const { directory } = context.appliance;
  const count = (when: When) => findHooks(directory, config, when, point).length;
  if (count('before') + count('after') === 0) return undefined;
  return async (migration, work) => {
    await runHooks(context, { when: 'before', point, reach, migration });
    await work();
    await runHooks(context, { when: 'after', point, reach, migration });
  };
}

async function runHook(
  { appliance, note, output }: StepContext,
  config: Config,
  { file }: Hook,
  env: Readonly<Record<string, string>>,
): Promise<void> {
  note(`hook ${file}`);
  await appliance.runtime.run(
    {
      ...{ file: `./${file}`, args: [], cwd: appliance.directory, env, label: file },
      timeoutMs: hookSettings(config).timeout,
    },
    { onLine: (line) => output(`${file}: ${line}`) },
  );
}

/** Which version lies in the checkout is known by the journal. */
function configNow({ journal, appliance, target }: StepContext): Config {
  const pulled = journal.records.some(
    (record) =>
      record.type === 'step-finished' &&
      record.half === 'apply' &&
      (record.step === 'pull-code' || record.step === 'restore-snapshot'),
  );
  return pulled ? target.config : appliance.config;
}

/** What a hook knows of the run; docs/ADOPTING.md lists it. */
async function environmentOf(
  { appliance, kind, runId, origin, target, journal }: StepContext,
  config: Config,
  { when, point, reach, migration }: HookCall,
): Promise<Record<string, string>> {
  const { database, directory, node, secrets } = appliance;
  const reached = reach === 'window' ? database?.windowEnvironment(runId) : database?.environment();
  return {
    ...baseEnvironment(node),
    ...readApplianceEnvironment(config, directory, secrets),
    ...(await reached),
    HOLDFAST_RUN_ID: runId,
    HOLDFAST_KIND: kind,
    HOLDFAST_WHEN: when,
    HOLDFAST_STEP: point,
    HOLDFAST_FROM: origin.commit,
    HOLDFAST_FROM_LABEL: origin.label,
    HOLDFAST_TO: target.commit,
    HOLDFAST_TO_LABEL: target.label,
    HOLDFAST_SNAPSHOT: journal.last('sealed')?.snapshot ?? '',
    HOLDFAST_APPLIANCE: directory,
    HOLDFAST_NODE: node,
    ...(migration === undefined ? {} : { HOLDFAST_MIGRATION: migration }),
  };
}
