import type { Appliance } from '../appliance/appliance.ts';
import { findHealthProblem } from '../appliance/health.ts';
import { serviceHandle } from '../appliance/services.ts';
import { exitCodes } from '../lib/errors.ts';
import type { Register } from '../main.ts';
import { describeOpenRun, readHolder } from '../pipeline/run-lock.ts';
import { sharedNotice } from '../pipeline/own-migrations.ts';
import { readSetup } from '../pipeline/setup-progress.ts';
import { readOrigin } from '../pipeline/target.ts';
import { listSnapshots } from '../snapshot/store.ts';
import { readEnd } from './run-end.ts';
import { nextCommands } from './next-commands.ts';
import { findUnapplied } from './services.ts';
import type { Session } from './session.ts';
import { followRun } from './status-follow.ts';
import { showHistory } from './status-history.ts';

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
        if (options.follow) return await followRun(session, appliance);
        return await showStatus(session, appliance);
      }),
    );
};

async function showStatus(session: Session, appliance: Appliance): Promise<number> {
  const { ui } = session;
  const { config, state } = appliance;
  const [origin, containers, services, database] = await Promise.all([
    readOrigin(appliance),
    appliance.runtime.glance(),
    Promise.all(Object.keys(config.services).map(async (name) => await lookAt(appliance, name))),
    appliance.database?.glance(),
  ]);
  const snapshots = listSnapshots(appliance.backupsDirectory);
  const newest = snapshots[0];
  const open = describeOpenRun(appliance);
  const last = state.runIds().at(-1);
  const lastEnd = last === undefined ? undefined : readEnd(appliance, last);
  const installed = state.isInstalled();
  const setup = installed ? undefined : lookAtSetup(appliance);
  const healthy = services.every(({ ok }) => ok);
  // A server that does not run is not started for a look.
  const mayAsk = installed && !healthy && !open && database?.ok === true;
  const unapplied = mayAsk ? await findUnapplied(appliance).catch(() => []) : [];
  const mend = installed && !open && containers?.ok === false ? containers.next : undefined;
  const next = nextCommands({
    mend,
    installed,
    settingUp: setup?.active === true,
    healthy,
    fits: unapplied.length === 0,
    open,
    last: last === undefined || !lastEnd ? undefined : { run: last, outcome: lastEnd.outcome },
  });
  const mark = (ok: boolean) => (ok ? ui.paint.green('●') : ui.paint.red('○'));
  const lines = [
    `${ui.paint.bold(config.name)}  ${origin.label}${origin.label.startsWith(origin.commit.slice(0, 7)) ? '' : ` (${origin.commit.slice(0, 7)})`}`,
    ...(installed
      ? services.map(({ name, text, ok }) => `  ${mark(ok)} ${name.padEnd(12)} ${text}`)
      : [setup === undefined ? '  not set up yet' : `  ${ui.paint.yellow(setup.text)}`]),
    ...(['test', 'development'].includes(config.environment) ? [`  environment  ${config.environment}`] : []),
    ...(containers && installed
      ? [`  ${mark(containers.ok)} ${'containers'.padEnd(12)} ${containers.text}`]
      : []),
    ...(database ? [`  ${mark(database.ok)} ${'database'.padEnd(12)} ${database.text}`] : []),
    ...(appliance.database?.isShared === true ? [`  ${ui.paint.yellow(sharedNotice)}`] : []),
    `  snapshots    ${snapshots.length === 0 ? 'none yet' : `${snapshots.length}, the newest ${newest?.id ?? ''}`}`,
    ...(last === undefined || !lastEnd ? [] : [`  last run     ${last}: ${lastEnd.text}`]),
    ...(open === undefined ? [] : [`  ${ui.paint.yellow(open.text)}`]),
    `  Next: ${next.join('   ')}`,
  ];
  ui.result(
    {
      type: 'result',
      ok: true,
      exitCode: 0,
      name: config.name,
      environment: config.environment,
      ...(appliance.database?.isShared === true ? { sharedDatabase: true } : {}),
      commit: origin.commit,
      label: origin.label,
      installed,
      ...(setup ? { setup: { active: setup.active, step: setup.step, failure: setup.failure } } : {}),
      services: services.map(({ name, ok, text, running }) => ({ name, healthy: ok, running, text })),
      ...(containers ? { containers } : {}),
      ...(database ? { database } : {}),
      snapshots: snapshots.length,
      ...(newest ? { newestSnapshot: newest.id } : {}),
      ...(open ? { unfinished: { run: open.run, active: open.active, step: open.at?.step } } : {}),
      ...(last === undefined ? {} : { lastRun: last, lastOutcome: lastEnd?.text }),
      next,
    },
    lines.join('\n'),
  );
  return exitCodes.ok;
}

/** How far the setup came that did not come to its end, and whether it is at work now. */
function lookAtSetup(appliance: Appliance) {
  const setup = readSetup(appliance.state);
  if (!setup) return undefined;
  const { step, title, failure } = setup;
  if (failure !== undefined) {
    const why = (failure.split('\n')[0] ?? '').replaceAll(/\s+/g, ' ');
    return {
      ...{ active: false, step, failure },
      text: `setup failed at "${title}": ${why}\n  mend that; then ./run.sh setup goes on where it stopped`,
    };
  }
  const holder = readHolder(appliance);
  const active = holder !== undefined && ['setup', 'update'].includes(holder.command);
  return {
    ...{ active, step, failure },
    text: active
      ? `setup is at "${title}" (pid ${holder.pid})`
      : `setup was interrupted at "${title}"; ./run.sh setup goes on there`,
  };
}

async function lookAt(
  appliance: Appliance,
  name: string,
): Promise<{ name: string; ok: boolean; running: boolean; text: string }> {
  const service = appliance.config.services[name];
  const state = await appliance.runtime.serviceState(serviceHandle(appliance, name)).catch(() => undefined);
  // Whatever it runs in does not answer, and says why itself.
  if (!state) return { name, ok: false, running: false, text: 'not known' };
  if (!state.running) return { name, ok: false, running: false, text: 'stopped' };
  const at = service?.port === undefined ? '' : ` at :${service.port}`;
  if (!service?.health) return { name, ok: true, running: true, text: `runs${at} (pid ${state.pid})` };
  const problem = await findHealthProblem(appliance, service, { signal: AbortSignal.timeout(1000) });
  return problem === undefined
    ? { name, ok: true, running: true, text: `healthy${at}` }
    : { name, ok: false, running: true, text: problem };
}
