import type { Command } from 'commander';
import { untilAborted } from '../appliance/appliance.ts';
import { LockHeldError, Refusal, UsageError } from '../lib/errors.ts';
import { takeSignals } from '../lib/signals.ts';
import type { Register } from '../main.ts';
import { describeOpenRun } from '../pipeline/run-lock.ts';
import { callDataMigrations, verifyConfigured } from './data-call.ts';
import { takeBack } from './data-down.ts';
import { locked } from './locked.ts';
import type { Session } from './session.ts';

export const registerData: Register = (program, act) => {
  const data = program
    .command('data')
    .description('the data migrations of the appliance: list, run, retry, skip, take back')
    .helpCommand(false)
    .allowExcessArguments()
    .addHelpText(
      'after',
      '\nAn update runs what is pending by itself. ID is the name of a file without its ending, or its number.\nExit: 0 as asked, 1 a migration failed, 2 bad usage, 3 refused, 4 another run, or another runner of data migrations, is at work.',
    )
    .action(
      act(async (session, _options, command: Command) => {
        const [word] = command.args;
        if (word === undefined) return await look(session, 'status', ['--status']);
        const names = command.commands.map((one) => one.name()).join(', ');
        throw new UsageError(`there is no command "data ${word}"; there are ${names}`, './run.sh help data');
      }),
    );
  data
    .command('status')
    .allowExcessArguments(false)
    .description('what is applied, pending, failed; looks only')
    .action(act(async (session) => await look(session, 'status', ['--status'])));
  data
    .command('list')
    .allowExcessArguments(false)
    .description('every data migration with its state and description; looks only')
    .action(act(async (session) => await look(session, 'list', ['--list'])));
  data
    .command('new')
    .allowExcessArguments(false)
    .argument('<name>', 'what it does, such as "fill departments"')
    .description('for developers: write the next data migration from the template')
    .action(
      act(
        async (session, name: string) =>
          await look(session, 'new', ['--new', name], { whileRunIsOpen: 'refuse' }),
      ),
    );
  data
    .command('run')
    .allowExcessArguments(false)
    .argument('[id]', 'only this one')
    .option('--dry-run', 'run it in transactions that the database takes back, and say what would change')
    .description('run what is pending now, while the appliance serves')
    .action(
      act(async (session, id: string | undefined, { dryRun = false }: { dryRun?: boolean }) => {
        const only = id === undefined ? [] : ['--only', id];
        if (!dryRun) return await change(session, 'run', only);
        return await look(session, 'run', ['--dry-run', ...only], {
          whileRunIsOpen: 'refuse',
          needsDatabase: true,
        });
      }),
    );
  data
    .command('retry')
    .allowExcessArguments(false)
    .argument('<id>')
    .description('go on with one that failed')
    .action(act(async (session, id: string) => await change(session, 'retry', ['--retry', id])));
  data
    .command('rerun')
    .allowExcessArguments(false)
    .argument('<id>')
    .description('run one that is done once more, from its start')
    .action(act(async (session, id: string) => await change(session, 'rerun', ['--rerun', id])));
  data
    .command('skip')
    .allowExcessArguments(false)
    .argument('<id>')
    .requiredOption('--reason <reason>', 'why: somebody will ask')
    .description('leave one out, for a reason')
    .action(
      act(
        async (session, id: string, { reason }: { reason: string }) =>
          await change(session, 'skip', ['--skip', id, '--reason', reason]),
      ),
    );
  data
    .command('down')
    .allowExcessArguments(false)
    .argument('<id>')
    .description(
      'take one back by its down(); a snapshot is made first, and the services stop for that moment',
    )
    .action(
      act(
        async (session, id: string) =>
          await locked(session, 'data down', async (state) => await takeBack(session, state, id)),
      ),
    );
};

/** A command that changes rows: under the lock of the appliance, with its database running. */
async function change(session: Session, command: string, args: readonly string[]): Promise<number> {
  return await locked(session, `data ${command}`, async ({ appliance, signals }) => {
    verifyConfigured(appliance);
    await appliance.database?.ensureRunning();
    const environment = (await appliance.database?.environment()) ?? {};
    const stoppable = untilAborted(appliance, signals.abort.signal);
    return await callDataMigrations(session, stoppable, { command, args, environment });
  });
}

/** A command that changes no rows, and needs no lock. What runs beside it is told, or refused. */
async function look(
  session: Session,
  command: string,
  args: readonly string[],
  how: { readonly whileRunIsOpen?: 'refuse'; readonly needsDatabase?: true } = {},
): Promise<number> {
  const appliance = session.open();
  verifyConfigured(appliance);
  const open = describeOpenRun(appliance);
  if (open && how.whileRunIsOpen === 'refuse') {
    const message = `cannot go on: ${open.text}. Nothing was changed`;
    throw open.active
      ? new LockHeldError(message, './run.sh status --follow')
      : new Refusal(message, './run.sh recover');
  }
  if (open) session.ui.say(open.text);
  if (how.needsDatabase) {
    if (!appliance.state.isInstalled())
      throw new Refusal('cannot try the data migrations: this checkout was never set up', './run.sh setup');
    await appliance.database?.ensureRunning();
  }
  // Where it is not even made yet, run.sh says by itself what it can tell without it.
  const environment = (await appliance.database?.environment().catch(() => ({}))) ?? {};
  const signals = takeSignals((line) => session.ui.say(line));
  try {
    const stoppable = untilAborted(appliance, signals.abort.signal);
    return await callDataMigrations(session, stoppable, { command, args, environment });
  } finally {
    signals.release();
  }
}
