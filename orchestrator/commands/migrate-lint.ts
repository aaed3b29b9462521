import { exitCodes, Refusal } from '../lib/errors.ts';
import { visible } from '../lib/printable.ts';
import { plural } from '../lib/units.ts';
import { findDestination } from '../pipeline/target.ts';
import { lintMigrations, readMigrations, readProvider, readRecorded } from '../schema-migrations/inspect.ts';
import type { Finding } from '../schema-migrations/lint/finding.ts';
import { formatForGithub, toSarif, withRule, type Format } from '../schema-migrations/lint/formats.ts';
import type { Linted } from '../schema-migrations/lint/lint.ts';
import { rules } from '../schema-migrations/lint/rules.ts';
import { judge, type Verdict } from '../schema-migrations/lint/verdict.ts';
import { pendingMigrations } from '../schema-migrations/pending.ts';
import { resolveRevision } from '../tools/git-facts.ts';
import type { Paint } from '../ui/ui.ts';
import type { Session } from './session.ts';

export interface LintCommandOptions {
  readonly to?: string;
  readonly since?: string;
  readonly all?: boolean;
  readonly format: Format;
}

/** `migrate lint`: what is dangerous in migrations, for people and for a vendor's CI. Looks only. */
export async function showLint(session: Session, options: LintCommandOptions): Promise<number> {
  const appliance = session.open({ lenient: true });
  const { ui } = session;
  const target = options.to === undefined ? undefined : (await findDestination(appliance, options.to)).target;
  const config = target?.config ?? appliance.config;
  const files = await readMigrations(appliance, config, target?.commit);
  const recorded = await readRecorded(appliance);
  const all = files.map(({ name }) => name);
  let names = all;
  if (options.since !== undefined) {
    const commit = await resolveRevision(appliance.runtime, appliance.directory, options.since);
    if (commit === undefined)
      throw new Refusal(
        `cannot compare with "${options.since}": there is no such branch, tag or commit here`,
        'git fetch, then try again',
      );
    const there = new Set((await readMigrations(appliance, config, commit)).map(({ name }) => name));
    names = all.filter((name) => !there.has(name));
  } else if (options.all !== true && recorded) names = pendingMigrations(all, recorded.applied);
  const provider = await readProvider(appliance, config, target?.commit);
  const linted = await lintMigrations(config, files, { names: new Set(names), recorded, provider });
  const findings = linted.flatMap((one) => one.findings);
  const verdict = judge(linted);
  const exitCode = verdict.ok ? exitCodes.ok : exitCodes.refused;
  const { errors, warnings, accepted } = verdict;
  ui.result(
    {
      ...{ type: 'result', ok: verdict.ok, exitCode, migrations: names, errors, warnings, accepted },
      findings: findings.map(withRule),
    },
    {
      text: () => describe(linted, verdict, ui.paint),
      github: () => formatForGithub(findings),
      json: () =>
        JSON.stringify(
          { ok: verdict.ok, errors, warnings, accepted, findings: findings.map(withRule) },
          null,
          2,
        ),
      sarif: () => JSON.stringify(toSarif(findings, session.program.version), null, 2),
    }[options.format](),
  );
  return exitCode;
}

/** The findings, migration by migration, and what they come to. */
function describe(
  linted: readonly Linted[],
  { errors, warnings, accepted, ok }: Verdict,
  paint: Paint,
): string {
  const shown = linted.filter(({ findings }) => findings.length > 0);
  const seen = linted.length;
  const sum =
    `${plural(seen, 'migration')} looked at: ${plural(errors, 'error')}, ${plural(warnings, 'warning')}` +
    `${accepted === 0 ? '' : `, ${accepted} accepted`}.`;
  return [
    ...shown.flatMap(({ migration, findings }) => [
      paint.bold(visible(migration.file)),
      ...findings.map((finding) => describeFinding(finding, paint)),
      '',
    ]),
    `${ok ? paint.green('✔') : paint.red('✖')} ${sum}`,
    ...(ok ? [] : ['  To accept one, write into its file: -- holdfast:accept RULE: the reason']),
  ].join('\n');
}

/** One finding in a few lines: what, why, and what to do instead. */
export function describeFinding({ rule, severity, line, message, accepted }: Finding, paint: Paint): string {
  const marks = { error: paint.red('✖'), warning: paint.yellow('!'), info: paint.dim('·') };
  if (accepted !== undefined)
    return `  ${paint.dim('✔')} line ${line}: ${message}  [${rule}]\n      ${paint.dim(`accepted: ${accepted}`)}`;
  const head = `  ${marks[severity]} line ${line}: ${message}  [${rule}]`;
  if (severity === 'info') return head;
  return `${head}\n      ${rules[rule].why}\n      ${paint.bold('Instead:')} ${rules[rule].recipe}`;
}
