import { join } from 'node:path';
import type { Appliance } from '../appliance/appliance.ts';
import { answeredCommit, findHealthProblem } from '../appliance/health.ts';
import { runningServices, verifyPortsAreOurs } from '../appliance/services.ts';
import { verifyHooks } from '../hooks/verify-hooks.ts';
import { kindOfDatabase } from '../config/database-schema.ts';
import { exitCodes, HoldfastError, messageOf, Refusal } from '../lib/errors.ts';
import { shellWord } from '../lib/shell-word.ts';
import type { Register } from '../main.ts';
import { sharedNotice } from '../pipeline/own-migrations.ts';
import { describeOpenRun } from '../pipeline/run-lock.ts';
import { verifyNoFailedMigration } from '../schema-migrations/pending.ts';
import { verifyProvider } from '../schema-migrations/provider.ts';
import { plural } from '../lib/units.ts';
import { registryPath } from '../snapshot/registry.ts';
import { listSnapshots, verifySnapshot } from '../snapshot/store.ts';
import { verifyPrograms } from '../steps/programs.ts';
import { verifySpace } from '../steps/space.ts';
import { changedFiles, fetchRemote, followedCommit, readHead } from '../tools/git-facts.ts';
import { findMissingData, findUnignored, type Warning } from './doctor-places.ts';
import type { Session } from './session.ts';

interface Check {
  readonly name: string;
  /** Looks into containers: with these not as they must be it would tell the same, or start them. */
  readonly isInside?: boolean;
  /** Resolves to a remark or to a warning. Throws what is wrong. */
  run(): Promise<string | Warning | undefined>;
}

export const registerDoctor: Register = (program, act) => {
  program
    .command('doctor')
    .description('check everything an update needs, and say how to mend what is wrong; changes nothing')
    .action(
      act(async (session) => {
        const appliance = session.open();
        const { ui } = session;
        const results: Result[] = [];
        let inside = true;
        for (const { name, isInside, run } of checks(appliance)) {
          if (isInside === true && !inside) {
            ui.print(`- ${name}: not looked at, see "containers"`);
            continue;
          }
          try {
            const found = await run();
            if (typeof found === 'object') {
              results.push({ name, ok: true, warning: found.warning, next: found.next });
              ui.print(`${ui.paint.yellow('!')} ${name}: ${found.warning}\n    Next: ${found.next}`);
            } else {
              results.push({ name, ok: true, note: found });
              ui.print(`${ui.paint.green('✔')} ${name}${found === undefined ? '' : `: ${found}`}`);
            }
          } catch (error) {
            if (name === containersCheck) inside = false;
            const fix = error instanceof HoldfastError ? error.next : undefined;
            results.push({ name, ok: false, note: messageOf(error), next: fix });
            ui.print(
              `${ui.paint.red('✖')} ${name}: ${messageOf(error)}${fix === undefined ? '' : `\n    Next: ${fix}`}`,
            );
          }
        }
        return tell(session, results);
      }),
    );
};

const containersCheck = 'containers';

interface Result {
  readonly name: string;
  readonly ok: boolean;
  readonly note?: string | undefined;
  readonly warning?: string;
  /** How to mend it. */
  readonly next?: string | undefined;
}

/** The last word. `next`: how to mend what failed, then what was warned of; the update where nothing is to be mended. */
function tell({ ui }: Session, results: readonly Result[]): number {
  const failed = results.filter(({ ok }) => !ok);
  const warned = results.filter(({ warning }) => warning !== undefined);
  const fixes = [...failed, ...warned].flatMap(({ next }) => next ?? []);
  const exitCode = failed.length === 0 ? exitCodes.ok : exitCodes.refused;
  const warnings = warned.length === 0 ? '' : ` ${plural(warned.length, 'warning')}.`;
  ui.result(
    {
      ...{ type: 'result', ok: failed.length === 0, exitCode, checks: results },
      next: fixes.length === 0 ? ['./run.sh update'] : fixes,
    },
    failed.length > 0
      ? `${failed.length} of ${results.length} checks failed.${warnings}`
      : warned.length > 0
        ? `An update can go on.${warnings}`
        : 'All is well.',
  );
  return exitCode;
}

function checks(appliance: Appliance): Check[] {
  const { runtime, directory, config, database, state } = appliance;
  return [
    {
      name: 'no interrupted run',
      run: async () => {
        const open = describeOpenRun(appliance);
        if (open) throw new Refusal(open.text, open.active ? './run.sh status --follow' : './run.sh recover');
        return await Promise.resolve(undefined);
      },
    },
    { name: 'programs', run: async () => await Promise.resolve(verifyPrograms(config) ?? undefined) },
    ...(config.runtime === 'local'
      ? []
      : [{ name: containersCheck, run: async () => await runtime.verify() }]),
    {
      name: 'checkout',
      run: async () => {
        const head = await readHead(runtime, directory);
        const changed = await changedFiles(runtime, directory, registryPath(appliance.config));
        if (changed.length > 0)
          throw new Refusal(
            `tracked files were changed: ${changed.slice(0, 3).join(', ')}`,
            `git -C ${shellWord(directory)} stash`,
          );
        return head.commit.slice(0, 7);
      },
    },
    {
      name: 'hooks',
      run: async () => {
        const problems = await verifyHooks(appliance);
        return problems.length === 0
          ? undefined
          : { warning: problems.join('; '), next: 'mend them, or ask their vendor to' };
      },
    },
    { name: 'what git ignores', run: async () => await findUnignored(appliance) },
    ...(config.data.length === 0
      ? []
      : [{ name: 'data', run: async () => await Promise.resolve(findMissingData(appliance)) }]),
    {
      name: 'remote',
      run: async () => {
        const source = Object.values(config.sources)[0];
        if (!source) return undefined;
        await fetchRemote(runtime, directory, source.remote);
        try {
          await followedCommit(runtime, directory, source.follow);
        } catch (error) {
          if (!(error instanceof Refusal)) throw error;
          return { warning: error.message, next: error.next ?? './run.sh update --to VERSION' };
        }
        return source.remote;
      },
    },
    {
      name: 'database',
      isInside: true,
      run: async () => {
        if (!database) return 'none';
        await verifyProvider(appliance, config);
        // A look does not make one.
        if (!state.isInstalled() && kindOfDatabase(config.database) !== 'external') {
          return 'made by ./run.sh setup';
        }
        await database.ensureRunning();
        verifyNoFailedMigration(await database.appliedMigrations());
        await database.proveWayBack(join(state.path, 'doctor-schema.dump'));
        if (database.isShared === true)
          return { warning: sharedNotice, next: 'set database.shared: false once it is not any more' };
        return 'answers, and a restore without rows was tried';
      },
    },
    {
      name: 'room on the disks',
      isInside: true,
      run: async () => {
        // What is not there yet has no size.
        if (!state.isInstalled()) return 'measured after ./run.sh setup';
        await verifySpace(appliance);
        return undefined;
      },
    },
    {
      name: 'services',
      isInside: true,
      run: async () => {
        await verifyPortsAreOurs(appliance, config);
        if (!state.isInstalled()) throw new Refusal('this checkout was never set up', './run.sh setup');
        const running = await runningServices(appliance, config);
        for (const name of running) {
          const service = config.services[name];
          if (!service) continue;
          const problem = await findHealthProblem(appliance, service);
          if (problem !== undefined)
            throw new Refusal(`${name} is not healthy: ${problem}`, './run.sh restart');
        }
        const stopped = Object.keys(config.services).filter((name) => !running.includes(name));
        if (stopped.length > 0) throw new Refusal(`not running: ${stopped.join(', ')}`, './run.sh start');
        return (await findOther(appliance, running)) ?? `${running.join(', ')} healthy`;
      },
    },
    {
      name: 'newest snapshot',
      run: async () => {
        const newest = listSnapshots(appliance.backupsDirectory)[0];
        if (!newest) return 'none yet';
        await verifySnapshot(newest.folder);
        return newest.id;
      },
    },
  ];
}

/** A service that was built from another commit than the one that is checked out: somebody has moved the checkout. */
async function findOther(appliance: Appliance, running: readonly string[]): Promise<Warning | undefined> {
  const { runtime, directory, config } = appliance;
  const head = await readHead(runtime, directory);
  for (const name of running) {
    const service = config.services[name];
    const commit = service && (await answeredCommit(appliance, name, service));
    if (commit === undefined || commit === head.commit) continue;
    return {
      warning: `service ${name} answers as commit ${commit}, and the checkout is at ${head.commit}: it was moved by hand, and not built`,
      next: `git -C ${shellWord(directory)} reset --keep ${shellWord(commit)} takes it back to what runs; ./run.sh update goes on from there`,
    };
  }
  return undefined;
}
