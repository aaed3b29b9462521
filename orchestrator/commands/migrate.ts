import { Option, type Command } from 'commander';
import { UsageError } from '../lib/errors.ts';
import type { Register } from '../main.ts';
import { formats } from '../schema-migrations/lint/formats.ts';
import { showChecklist } from './migrate-checklist.ts';
import { deployMigrations, type DeployOptions } from './migrate-deploy.ts';
import { developMigration } from './migrate-dev.ts';
import { revertMigrations } from './migrate-down.ts';
import { generateDown } from './migrate-generate-down.ts';
import { generateMigration, type GenerateOptions } from './migrate-generate.ts';
import { showLint, type LintCommandOptions } from './migrate-lint.ts';
import { resolveMigration, type ResolveOptions } from './migrate-resolve.ts';
import { showPendingSql } from './migrate-show.ts';
import { testDown } from './migrate-test-down.ts';
import { showMigrationStatus } from './migrate-status.ts';

export const registerMigrate: Register = (program, act) => {
  const migrate = program
    .command('migrate')
    .description(
      'the schema migrations of the appliance: look at them, check them, apply them, take them back',
    )
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
    .command('deploy')
    .option('--to <name>', 'up to this migration, and no further')
    .option('--allow-destructive', 'apply migrations that take data away')
    .option('--forward-only', 'although the database is shared, and no restore takes that back')
    .description(
      'apply what is pending, after a snapshot that is restored if it fails; the services stop for it',
    )
    .action(act(async (session, options: DeployOptions) => await deployMigrations(session, options)));
  migrate
    .command('down')
    .option('--to <name>', 'all that came after this migration, instead of the newest one')
    .description(
      'take migrations back by their down.sql, after a snapshot; see also rollback, which takes data along',
    )
    .action(act(async (session, options: { to?: string }) => await revertMigrations(session, options)));
  migrate
    .command('resolve')
    .option('--applied <name>', 'record it as applied')
    .option('--rolled-back <name>', 'record a failed one as rolled back')
    .description('change the record of a migration, after a snapshot; the schema stays as it is')
    .action(act(async (session, options: ResolveOptions) => await resolveMigration(session, options)));
  migrate
    .command('dev')
    .argument('<name>', 'what it does, such as add_phone_to_users')
    .option('--create-only', 'write it, and do not apply it')
    .description('for developers: write the migration that schema.prisma needs, and apply it here')
    .action(
      act(
        async (session, name: string, options: { createOnly?: boolean }) =>
          await developMigration(session, name, options),
      ),
    );
  migrate
    .command('generate')
    .argument('<name>', 'what it does, such as "add phone to users"')
    .option('--dry-run', 'show it; write nothing')
    .option('--per-table', 'one migration a table, in the order of their references')
    .description('for developers: write the migration that schema.prisma needs')
    .action(
      act(
        async (session, name: string, options: GenerateOptions) =>
          await generateMigration(session, name, options),
      ),
    );
  migrate
    .command('generate-down')
    .argument('<name>', 'the migration')
    .option('--dry-run', 'show it; write nothing')
    .description('for developers: write the down.sql of a migration')
    .action(
      act(
        async (session, name: string, options: { dryRun?: boolean }) =>
          await generateDown(session, name, options.dryRun === true),
      ),
    );
  migrate
    .command('test-down')
    .argument('<name>', 'the migration')
    .description('for developers: up, down and up again on a scratch database')
    .action(act(async (session, name: string) => await testDown(session, name)));
  migrate
    .command('checklist')
    .option('--to <ref>', 'for a branch, tag or commit, instead of what lies here')
    .description('what to go through before production, ticked where it can be checked; looks only')
    .addHelpText('after', '\nExit: 0 nothing that was checked fails, 3 otherwise.')
    .action(act(async (session, options: { to?: string }) => await showChecklist(session, options.to)));
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
