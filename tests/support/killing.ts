import { findByEnvironment, signalProcess } from '../../orchestrator/lib/processes.ts';
import { runMark } from '../../orchestrator/appliance/appliance.ts';
import type { Cli } from './cli.ts';
import type { Ledger } from './ledger.ts';
import { findProcessesOf } from './sandbox.ts';

/** Who gets the SIGKILL. */
export const killings = {
  /** The orchestrator alone; what it started lives on. */
  orchestrator: (cli: Cli) => cli.signal('SIGKILL'),
  /** Its process group, as a shell kills a job. */
  'process group': (cli: Cli) => {
    if (cli.pid !== undefined) process.kill(-cli.pid, 'SIGKILL');
  },
  /** It, and all that it started for this run; services and database live on. */
  'the whole run': (cli: Cli, ledger: Ledger) => {
    const appliance = ledger.open();
    const run = appliance.state.unfinishedRun();
    cli.signal('SIGKILL');
    if (run === undefined) return;
    for (const pid of findByEnvironment('HOLDFAST_RUN', runMark(appliance, run)))
      signalProcess(pid, 'SIGKILL');
  },
  /** All there is, services and database included: what a power cut does to processes. */
  everything: (cli: Cli, ledger: Ledger) => {
    cli.signal('SIGKILL');
    for (const pid of findProcessesOf(ledger.sandbox.root)) signalProcess(pid, 'SIGKILL');
  },
} as const;

export type Killing = keyof typeof killings;
