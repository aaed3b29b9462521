import { Command } from 'commander';
import { expect, test } from 'vitest';
import { registerBackup } from '../../../orchestrator/commands/backup.ts';
import { registerData } from '../../../orchestrator/commands/data.ts';
import { registerHelp } from '../../../orchestrator/commands/help.ts';
import { UsageError } from '../../../orchestrator/lib/errors.ts';
import type { Act } from '../../../orchestrator/main.ts';
import { captured } from '../support/captured.ts';

/** Help needs no session. */
const act: Act =
  (action) =>
  async (...args) =>
    void (await action({} as never, ...args));

async function help(...words: string[]): Promise<string> {
  const program = new Command('run.sh').exitOverride();
  registerBackup(program, act);
  registerHelp(program, act);
  const { out } = await captured(async () => await program.parseAsync(['help', ...words], { from: 'user' }));
  return out;
}

test('help shows the command that was named, a subcommand too', async () => {
  expect(await help()).toMatch(/^Usage: run\.sh \[options\]/);
  expect(await help('backup')).toMatch(/^Usage: run\.sh backup \[options\]/);
  expect(await help('backup', 'create')).toMatch(/^Usage: run\.sh backup create[^]*--scheduled/);
});

test('help with a command that is none names those that there are, and is bad usage', async () => {
  await expect(help('bogus')).rejects.toThrow(
    new UsageError('there is no command "bogus"; there are backup, help', './run.sh help'),
  );
  await expect(help('backup', 'bogus')).rejects.toThrow(
    'there is no command "backup bogus"; there are create, list, verify, prune',
  );
  await expect(help('bogus')).rejects.toMatchObject({ exitCode: 2 });
});

test.each([
  ['run', '001_a', '002_b'],
  ['retry', '001_a', '002_b'],
  ['rerun', '001_a', '002_b'],
  ['skip', '001_a', '002_b', '--reason', 'why'],
  ['down', '001_a', '002_b'],
  ['list', '001_a'],
])('a command of data migrations takes no more words than it knows: %s', async (...words) => {
  const program = new Command('run.sh').exitOverride().configureOutput({ writeErr: () => {} });
  registerData(program, act);
  await expect(program.parseAsync(['data', ...words], { from: 'user' })).rejects.toThrow(
    /too many arguments/,
  );
});
