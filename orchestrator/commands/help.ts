import type { Command } from 'commander';
import { UsageError } from '../lib/errors.ts';
import type { Register } from '../main.ts';

export const registerHelp: Register = (program, act) => {
  program
    .helpCommand(false)
    .command('help')
    .argument('[command...]', 'the command, and its subcommand where it has one')
    .description('what a command does')
    .action(
      act(async (_session, words: string[]) => {
        findCommand(program, words).outputHelp();
        return await Promise.resolve(0);
      }),
    );
};

/** The command that these words name. Throws UsageError with those that there are. */
function findCommand(program: Command, words: readonly string[]): Command {
  let found = program;
  words.forEach((word, index) => {
    const next = found.commands.find((one) => one.name() === word);
    if (!next) {
      throw new UsageError(
        `there is no command "${words.slice(0, index + 1).join(' ')}"; there ${found.commands.length === 0 ? 'is nothing below it' : `are ${found.commands.map((one) => one.name()).join(', ')}`}`,
        `./run.sh help ${words.slice(0, index).join(' ')}`.trimEnd(),
      );
    }
    found = next;
  });
  return found;
}
