import { shellWord } from '../lib/shell-word.ts';
import type { Target } from './step.ts';

/** The options of an update that say what it is to do. */
export interface AskedUpdate {
  readonly to?: string;
  readonly allowDestructive?: boolean;
  readonly rehearse?: boolean;
  readonly migrate?: boolean;
  readonly forwardOnly?: boolean;
}

type Asked = Pick<Target, 'asked'>;

/** The update that was asked for, as a command to type: one without its `--to` would go somewhere else. */
export function updateCommand(target: Asked, more: Omit<AskedUpdate, 'to'> = {}): string {
  const all = { ...target.asked, ...more };
  return [
    `./run.sh update${toOption(target)}`,
    ...(all.rehearse === true ? ['--rehearse'] : []),
    ...(all.migrate === true ? ['--migrate'] : []),
    ...(all.forwardOnly === true ? ['--forward-only'] : []),
    ...(all.allowDestructive === true ? ['--allow-destructive'] : []),
  ].join(' ');
}

/** ` --to v3` as it was asked for; nothing where an update goes where it always does. */
export function toOption({ asked }: Asked): string {
  return asked?.to === undefined ? '' : ` --to ${shellWord(asked.to)}`;
}
