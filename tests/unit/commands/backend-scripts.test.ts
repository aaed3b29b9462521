import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Command } from 'commander';
import { expect, test } from 'vitest';
import { registerBackup } from '../../../orchestrator/commands/backup.ts';
import { registerDb } from '../../../orchestrator/commands/db.ts';
import { registerMigrate } from '../../../orchestrator/commands/migrate.ts';
import { registerRollback } from '../../../orchestrator/commands/rollback.ts';
import type { Act } from '../../../orchestrator/main.ts';

/* The npm scripts of the reference appliance's backend that go through run.sh. */

const { scripts } = JSON.parse(
  readFileSync(join(import.meta.dirname, '../../../backend/package.json'), 'utf8'),
) as { scripts: Record<string, string> };

const act: Act = () => async () => await Promise.resolve();
const program = new Command();
for (const register of [registerBackup, registerDb, registerMigrate, registerRollback])
  register(program, act);

/** The words of a script after run.sh as the command line reads them; throws at what it does not know. */
function resolve(words: readonly string[]): string {
  let command = program;
  for (const word of words) {
    const next = command.commands.find((one) => one.name() === word);
    if (next) command = next;
    else if (!command.options.some(({ long }) => long === word))
      throw new Error(`${command.name()} knows no ${word}`);
  }
  return command.name();
}

test('the scripts that people know are there, and the command line knows what they call', () => {
  const wanted =
    'db:migrate:dev db:migrate:create db:migrate:deploy db:migrate:status db:migrate:reset db:migrate:show db:migrate:revert ' +
    'db:migrate:generate db:migrate:data db:generate db:format db:seed db:studio db:snapshot db:restore-snapshot db:stats db:inspect';
  expect(Object.keys(scripts)).toEqual(expect.arrayContaining(wanted.split(' ')));
  const called = Object.entries(scripts).flatMap(([name, script]) => {
    const words = /^bash \.\.\/run\.sh (.*)$/.exec(script)?.[1]?.split(' ');
    return words ? [[name, resolve(words)] as const] : [];
  });
  expect(Object.fromEntries(called)).toEqual({
    'db:migrate:dev': 'dev',
    'db:migrate:create': 'dev',
    'db:migrate:generate': 'generate',
    'db:migrate:deploy': 'deploy',
    'db:migrate:status': 'status',
    'db:migrate:show': 'show',
    'db:migrate:revert': 'down',
    'db:migrate:reset': 'reset',
    'db:seed': 'seed',
    'db:studio': 'studio',
    'db:stats': 'stats',
    'db:inspect': 'inspect',
    'db:snapshot': 'create',
    'db:restore-snapshot': 'rollback',
  });
});
