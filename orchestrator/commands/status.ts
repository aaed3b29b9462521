import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Appliance } from '../appliance/appliance.ts';
import { findHealthProblem } from '../appliance/health.ts';
import { serviceHandle } from '../appliance/services.ts';
import { exitCodes } from '../lib/errors.ts';
import { formatDuration } from '../lib/units.ts';
import type { Register } from '../main.ts';
import { readJournal, tryReadJournal, type JournalRecord } from '../pipeline/journal.ts';
import { describeOpenRun, type OpenRun } from '../pipeline/run-lock.ts';
import { stepTitles } from '../pipeline/step-titles.ts';
import { readOrigin } from '../pipeline/target.ts';
import { listSnapshots } from '../snapshot/store.ts';
import type { Session } from './session.ts';

interface StatusOptions {
  readonly follow?: boolean;
  readonly history?: boolean;
}

export const registerStatus: Register = (program, act) => {
  program
    .command('status')
    .description('what runs, what is under way, and what to type next')
    .option('-f, --follow', 'attach to the run that is under way, until it ends')
    .option('--history', 'the runs so far')
    .action(
      act(async (session, options: StatusOptions) => {
        const appliance = session.open();
        if (options.history) return showHistory(session, appliance);
        if (options.follow) return await follow(session, appliance);
        return await showStatus(session, appliance);
      }),
    );
};

async function showStatus(session: Session, appliance: Appliance): Promise<number> {
  const { ui } = session;
  const { config, state } = appliance;
  const [origin, services] = await Promise.all([
    readOrigin(appliance),
    Promise.all(Object.keys(config.services).map(async (name) => await lookAt(appliance, name))),
  ]);
  const snapshots = listSnapshots(appliance.backupsDirectory);
  const newest = snapshots[0];
  const open = describeOpenRun(appliance);
  const last = state.runIds().at(-1);
  const lastEnd =
    last === undefined ? undefined : endOf(tryReadJournal(join(state.run(last), 'journal.ndjson')));
  const mark = (ok: boolean) => (ok ? ui.paint.green('●') : ui.paint.red('○'));
  const lines = [
    `${ui.paint.bold(config.name)}  ${origin.label}${origin.label.startsWith(origin.commit.slice(0, 7)) ? '' : ` (${origin.commit.slice(0, 7)})`}`,
    ...(state.isInstalled()
      ? services.map(({ name, text, ok }) => `  ${mark(ok)} ${name.padEnd(12)} ${text}`)
      : ['  not set up yet']),
    `  snapshots    ${snapshots.length === 0 ? 'none yet' : `${snapshots.length}, the newest ${newest?.id ?? ''}`}`,
    ...(last === undefined || !lastEnd ? [] : [`  last run     ${last}: ${lastEnd}`]),
    ...(open === undefined ? [] : [`  ${ui.paint.yellow(open.text)}`]),
    `  Next: ${nextCommands(
      state.isInstalled(),
      services.every(({ ok }) => ok),
      open,
    ).join('   ')}`,
  ];
  ui.result(
    {
      type: 'result',
      ok: true,
      exitCode: 0,
      name: config.name,
      commit: origin.commit,
      label: origin.label,
      installed: state.isInstalled(),
      services: services.map(({ name, ok, text, running }) => ({ name, healthy: ok, running, text })),
      snapshots: snapshots.length,
      ...(newest ? { newestSnapshot: newest.id } : {}),
      ...(open ? { unfinished: { run: open.run, active: open.active } } : {}),
      ...(last === undefined ? {} : { lastRun: last, lastOutcome: lastEnd }),
    },
    lines.join('\n'),
  );
  return exitCodes.ok;
}

async function lookAt(
  appliance: Appliance,
  name: string,
): Promise<{ name: string; ok: boolean; running: boolean; text: string }> {
  const service = appliance.config.services[name];
  const state = appliance.runtime.serviceState(serviceHandle(appliance, name));
  if (!state.running) return { name, ok: false, running: false, text: 'stopped' };
  const at = service?.port === undefined ? '' : ` at :${service.port}`;
  if (!service?.health) return { name, ok: true, running: true, text: `runs${at} (pid ${state.pid})` };
  const problem = await findHealthProblem(appliance, service, { signal: AbortSignal.timeout(1000) });
  return problem === undefined
    ? { name, ok: true, running: true, text: `healthy${at}` }
    : { name, ok: false, running: true, text: problem };
}

function nextCommands(installed: boolean, healthy: boolean, open: OpenRun | undefined): string[] {
  if (open)
    return open.active
      ? ['./run.sh status --follow', './run.sh logs --follow']
      : ['./run.sh recover', './run.sh logs'];
  if (!installed) return ['./run.sh setup', './run.sh doctor', './run.sh help'];
  return healthy
    ? ['./run.sh update', './run.sh backup create', './run.sh help']
    : ['./run.sh start', './run.sh doctor', './run.sh logs'];
}

function endOf(records: readonly JournalRecord[] | undefined): string | undefined {
  if (!records) return 'its journal is damaged';
  const finished = records.findLast((record) => record.type === 'finished');
  if (finished?.type !== 'finished') return undefined;
  return `${finished.outcome}${finished.failedStep === undefined ? '' : ` (${stepTitles[finished.failedStep]} failed)`}`;
}

function showHistory(session: Session, appliance: Appliance): number {
  const runs = appliance.state
    .runIds()
    .toReversed()
    .map((run) => {
      const records = tryReadJournal(join(appliance.state.run(run), 'journal.ndjson'));
      if (!records) return { run, outcome: 'its journal is damaged' };
      const started = records.find((record) => record.type === 'run-started');
      const finished = records.findLast((record) => record.type === 'finished');
      return {
        run,
        ...(started?.type === 'run-started'
          ? { kind: started.kind, from: started.fromLabel, to: started.toLabel }
          : {}),
        ...(finished?.type === 'finished'
          ? { outcome: finished.outcome, failedStep: finished.failedStep, outageMs: finished.outageMs }
          : { outcome: 'unfinished' }),
      };
    });
  const lines = runs.map(({ run, outcome, ...rest }) => {
    const { kind = '', from = '', to = '' } = 'kind' in rest ? rest : {};
    const failed = 'failedStep' in rest && rest.failedStep ? ` at ${stepTitles[rest.failedStep]}` : '';
    const offline = 'outageMs' in rest && rest.outageMs ? `, offline ${formatDuration(rest.outageMs)}` : '';
    return `${run}  ${kind.padEnd(9)} ${from} -> ${to}  ${outcome}${failed}${offline}`;
  });
  session.ui.result(
    { type: 'result', ok: true, exitCode: 0, runs },
    lines.length === 0 ? 'No run yet.' : lines.join('\n'),
  );
  return exitCodes.ok;
}

/** Shows the steps of the run that is under way as they come, until it ends. */
async function follow(session: Session, appliance: Appliance): Promise<number> {
  const run = appliance.state.unfinishedRun();
  if (run === undefined) {
    session.ui.result(
      { type: 'result', ok: true, exitCode: 0, outcome: 'nothing-under-way' },
      'No run is under way.\n  Next: ./run.sh status',
    );
    return exitCodes.ok;
  }
  let shown = 0;
  for (;;) {
    const records = readJournal(join(appliance.state.run(run), 'journal.ndjson'));
    for (const record of records.slice(shown)) session.ui.print(describeRecord(record));
    shown = records.length;
    if (appliance.state.unfinishedRun() !== run) break;
    if (describeOpenRun(appliance)?.active === false) {
      session.ui.result(
        { type: 'result', ok: false, exitCode: 0, outcome: 'interrupted', run },
        `The run ${run} was interrupted.\n  Next: ./run.sh recover`,
      );
      return exitCodes.ok;
    }
    await sleep(200);
  }
  const outcome = endOf(readJournal(join(appliance.state.run(run), 'journal.ndjson'))) ?? 'unknown';
  session.ui.result(
    { type: 'result', ok: true, exitCode: 0, outcome, run },
    `The run ${run} ended: ${outcome}.`,
  );
  return exitCodes.ok;
}

function describeRecord(record: JournalRecord): string {
  const clock = record.at.slice(11, 19);
  switch (record.type) {
    case 'step-started':
      return `${clock} ${stepTitles[record.step]}${record.half === 'prepare' ? ' (prepare)' : ''} ...`;
    case 'step-finished':
      return `${clock}   done in ${formatDuration(record.ms)}`;
    case 'step-failed':
      return `${clock}   failed: ${record.message}`;
    case 'restore-phase':
      return `${clock} restore: ${record.phase} ${record.state}`;
    default:
      return `${clock} ${record.type}`;
  }
}
