import { Option, type Command } from 'commander';
import { UsageError } from '../lib/errors.ts';
import type { Register } from '../main.ts';
import { formats } from '../schema-migrations/lint/formats.ts';
import { showLint, type LintCommandOptions } from './migrate-lint.ts';
import { showPendingSql } from './migrate-show.ts';
import { showMigrationStatus } from './migrate-status.ts';

export const registerMigrate: Register = (program, act) => {
  const migrate = program
    .command('migrate')
    .description('the schema migrations of the appliance: look at them, check them')
    .helpCommand(false)
    .allowExcessArguments()
    .addHelpText(
      'after',
      '\nAn update applies what is pending by itself, after a snapshot.\nExit: 0 as asked, 2 bad usage, 3 something is pending or wrong.',
    )
    .action(
      act(async (session, _options, command: Command) => {
        const [word] = command.args;
        if (word === undefined) return await showMigrationStatus(session);
        const names = command.commands.map((one) => one.name()).join(', ');
        throw new UsageError(
          `there is no command "migrate ${word}"; there are ${names}`,
          './run.sh help migrate',
        );
      }),
    );
  migrate
    .command('status')
    .description(
      'what is applied, pending, failed, changed since; exit 0 only if nothing is pending or wrong',
    )
    .action(act(async (session) => await showMigrationStatus(session)));
  migrate
    .command('show')
    .argument('[name]', 'this migration, applied or not; all that are pending without it')
    .option('--to <ref>', 'of a branch, tag or commit, instead of what lies here')
    .description('the SQL that is pending; looks only')
    .action(
      act(
        async (session, name: string | undefined, options: { to?: string }) =>
          await showPendingSql(session, name, options.to),
      ),
    );
  migrate
    .command('lint')
    .option('--to <ref>', 'of a branch, tag or commit, instead of what lies here')
    .option('--since <ref>', 'only what this branch, tag or commit does not have: for a pull request')
    .option('--all', 'all, and not only what is pending')
    .addOption(new Option('--format <format>', 'how to tell it').choices(formats).default('text'))
    .description('what is dangerous in the pending migrations, why, and how to do it instead; looks only')
    .addHelpText(
      'after',
      '\nTo accept what a rule says, write into the migration: -- holdfast:accept RULE: the reason\nExit: 0 no error that is not accepted, 3 otherwise.',
    )
    .action(act(async (session, options: LintCommandOptions) => await showLint(session, options)));
};
