import { dirname, join } from 'node:path';
import { Refusal } from '../lib/errors.ts';
import type { Register } from '../main.ts';
import { handOver } from '../runtime/hand-over.ts';

/** Names of the suites, as folders under tests/. */
const suites = ['unit', 'integration', 'faults', 'lxd', 'e2e'] as const;

export const registerTest: Register = (program, act) => {
  program
    .command('test')
    .argument(
      '[what...]',
      `static checks and every suite without it; or check, ${suites.join(', ')}, sweep, a file, or options of vitest`,
    )
    .description("run Holdfast's own checks and tests")
    .allowUnknownOption()
    .action(
      act(async (session, what: string[]) => {
        const { home, node } = session.program;
        const vitest = join(home, 'node_modules', 'vitest', 'vitest.mjs');
        process.chdir(home);
        // What the tests start shall run on our Node, whatever the machine's is.
        process.env['PATH'] = `${dirname(node)}:${process.env['PATH'] ?? ''}`;
        // What they start was not typed by the operator: its advice names no door of his.
        delete process.env['HOLDFAST_DOOR'];
        const onlyCheck = what[0] === 'check';
        if (what.length === 0 || onlyCheck) {
          const checked = (await handOver(node, [join(home, 'tests', 'support', 'check.ts')])) ?? 1;
          if (checked !== 0 || onlyCheck) return checked;
        }
        if (what[0] === 'sweep') {
          const sweep = join(home, 'tests', 'faults', 'sweep.ts');
          return (await handOver(node, [sweep, ...what.slice(1)])) ?? 1;
        }
        const database = takeDatabase(what);
        if (database === 'sqlite') process.env['HOLDFAST_TEST_DATABASE'] = database;
        // Asked for by name, they try each step in each way; the whole run tries each step in one.
        if (['faults', 'integration', 'lxd'].some((suite) => what.includes(suite)))
          process.env['HOLDFAST_TEST_EVERY_INSTANT'] = '1';
        const args = what.flatMap((word) =>
          suites.includes(word as (typeof suites)[number]) ? ['--project', word] : [word],
        );
        return (await handOver(node, [vitest, 'run', ...args])) ?? 1;
      }),
    );
};

/** Takes `--database NAME` out of the words: the engine that the appliances of the suites have. Throws Refusal. */
function takeDatabase(what: string[]): string | undefined {
  const at = what.indexOf('--database');
  if (at < 0) return undefined;
  const [, database = ''] = what.splice(at, 2);
  if (!/^(?:postgresql|sqlite)$/.test(database))
    throw new Refusal(
      `--database is postgresql or sqlite, not ${JSON.stringify(database)}`,
      './run.sh test faults --database sqlite',
    );
  return database;
}
