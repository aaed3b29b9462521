import { exitCodes } from '../lib/errors.ts';
import { plural } from '../lib/units.ts';
import { fillChecklist } from '../pipeline/checklist.ts';
import { checklistGroups, type ChecklistItem } from '../pipeline/checklist-items.ts';
import { findDestination, readOrigin } from '../pipeline/target.ts';
import type { Paint } from '../ui/ui.ts';
import type { Session } from './session.ts';

/** `migrate checklist`: what to go through before production, ticked where a machine can. Looks only. */
export async function showChecklist(session: Session, to: string | undefined): Promise<number> {
  const appliance = session.open();
  const { ui } = session;
  const origin = await readOrigin(appliance);
  const target =
    to === undefined
      ? { commit: origin.commit, label: origin.label, config: appliance.config }
      : (await findDestination(appliance, to)).target;
  const items = await fillChecklist(appliance, origin, target, to);
  const count = (state: ChecklistItem['state']) => items.filter((item) => item.state === state).length;
  const ok = count('failed') === 0;
  const exitCode = ok ? exitCodes.ok : exitCodes.refused;
  const lines = checklistGroups.flatMap((group) => [
    ui.paint.bold(group),
    ...items.filter((item) => item.group === group).map((item) => describe(item, ui.paint)),
  ]);
  ui.result(
    { type: 'result', ok, exitCode, to: target.label, items },
    [
      `Before ${target.label} meets production:`,
      ...lines,
      `${count('ok')} ticked, ${plural(count('warning'), 'warning')}, ${count('failed')} failed, ${count('open')} to answer by hand.`,
    ].join('\n'),
  );
  return exitCode;
}

function describe({ what, state, found, next }: ChecklistItem, paint: Paint): string {
  const box = { ok: paint.green('[x]'), warning: paint.yellow('[!]'), failed: paint.red('[✖]'), open: '[ ]' }[
    state
  ];
  return [
    `  ${box} ${what}${found === undefined ? '' : `: ${found}`}`,
    ...(next === undefined || state === 'ok'
      ? []
      : [`        ${state === 'open' ? 'how' : 'Next'}: ${next}`]),
  ].join('\n');
}
