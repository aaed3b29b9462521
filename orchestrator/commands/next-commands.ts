import type { OpenRun } from '../pipeline/run-lock.ts';

/** What is known of an appliance when it is asked what to do next. */
export interface Situation {
  readonly installed: boolean;
  /** A setup that is at work. */
  readonly settingUp: boolean;
  readonly healthy: boolean;
  /** The schema migrations of the code that is here are applied, as far as is known. `start` refuses otherwise. */
  readonly fits: boolean;
  /** What has to be typed before services can run: their containers are not as they must be. */
  readonly mend?: string | undefined;
  readonly open: Pick<OpenRun, 'active'> | undefined;
  /** The newest run that came to its end. */
  readonly last: { readonly run: string; readonly outcome: string } | undefined;
}

/** The commands that help most now, the best first. */
export function nextCommands(situation: Situation): string[] {
  const { installed, settingUp, healthy, fits, mend, open, last } = situation;
  if (open?.active === true) return ['./run.sh status --follow', './run.sh logs --follow'];
  if (open) return ['./run.sh recover', './run.sh logs'];
  if (settingUp) return ['./run.sh status'];
  if (!installed) return ['./run.sh setup', './run.sh doctor', './run.sh help'];
  if (mend !== undefined)
    return [mend, ...['./run.sh start', './run.sh doctor'].filter((one) => !mend.startsWith(one))];
  if (!healthy && !fits) return ['./run.sh migrate deploy', './run.sh migrate status', './run.sh logs'];
  if (!healthy) return ['./run.sh start', './run.sh doctor', './run.sh logs'];
  // Retrying what was restored fails the same way: what it was comes first.
  if (last?.outcome === 'restored')
    return [`./run.sh logs ${last.run}`, './run.sh update', './run.sh backup create'];
  return ['./run.sh update', './run.sh backup create', './run.sh help'];
}
