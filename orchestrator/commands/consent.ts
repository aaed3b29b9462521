import type { Appliance } from '../appliance/appliance.ts';
import { Refusal } from '../lib/errors.ts';
import { visible } from '../lib/printable.ts';
import { plural } from '../lib/units.ts';
import { readReleaseNotes } from '../pipeline/release-gate.ts';
import type { Origin, Target } from '../pipeline/step.ts';
import type { Linted } from '../schema-migrations/lint/lint.ts';
import { judge } from '../schema-migrations/lint/verdict.ts';
import { describeFinding } from './migrate-lint.ts';
import type { Session } from './session.ts';

/** Says what the vendor says of a release. */
export async function tellRelease(
  { ui }: Session,
  appliance: Appliance,
  origin: Origin,
  target: Target,
): Promise<void> {
  const notes = await readReleaseNotes(appliance, origin, target);
  if (notes !== undefined)
    ui.say(`${ui.paint.bold(`${target.label}, by its vendor:`)}\n  ${notes.replaceAll('\n', '\n  ')}\n`);
}

/**
 * Asks somebody at a terminal before schema migrations take data away, and says what vendors say that they break.
 * Where nobody is, the checks before the run decide.
 *
 * @param look the command that shows it
 * @returns whether what takes data away was agreed to
 * @throws Refusal if it was not, at a terminal
 */
export async function consentToLoss(
  { ui }: Session,
  linted: readonly Linted[],
  look: string,
): Promise<boolean> {
  const breaking = linted.flatMap(({ directives }) => directives.breaking);
  for (const line of breaking) ui.say(`${ui.paint.yellow('! BREAKING:')} ${line}`);
  const { destructive } = judge(linted);
  const [first] = destructive;
  if (!first) return false;
  for (const finding of destructive)
    ui.say(`${visible(finding.migration)}\n${describeFinding(finding, ui.paint)}`);
  const word = visible(first.table ?? first.migration);
  const answer = await ui.ask(
    `${plural(destructive.length, 'change')} of the database cannot be taken back but by a rollback of everything.\nType ${word} to go on: `,
  );
  if (answer === undefined) return false;
  if (answer === word) return true;
  throw new Refusal('the answer was another one. Nothing was changed', `${look} shows what it was about`);
}
