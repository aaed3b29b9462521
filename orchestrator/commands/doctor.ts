import { join } from 'node:path';
import type { Appliance } from '../appliance/appliance.ts';
import { findHealthProblem } from '../appliance/health.ts';
import { runningServices, verifyPortsAreOurs } from '../appliance/services.ts';
import { exitCodes, HoldfastError, messageOf, Refusal } from '../lib/errors.ts';
import type { Register } from '../main.ts';
import { describeOpenRun } from '../pipeline/run-lock.ts';
import { verifyNoFailedMigration } from '../schema-migrations/pending.ts';
import { listSnapshots, verifySnapshot } from '../snapshot/store.ts';
import { verifyPrograms } from '../steps/programs.ts';
import { verifySpace } from '../steps/space.ts';
import { changedFiles, fetchRemote, readHead } from '../tools/git-facts.ts';

interface Check {
  readonly name: string;
  run(): Promise<string | undefined>;
}

export const registerDoctor: Register = (program, act) => {
  program
    .command('doctor')
    .description('check everything an update needs, and say how to mend what is wrong; changes nothing')
    .action(
      act(async (session) => {
        const appliance = session.open();
        const { ui } = session;
        const problems: { name: string; problem: string; next?: string | undefined }[] = [];
        const results: { name: string; ok: boolean; note?: string | undefined }[] = [];
        for (const { name, run } of checks(appliance)) {
          try {
            const note = await run();
            results.push({ name, ok: true, note });
            ui.print(`${ui.paint.green('✔')} ${name}${note === undefined ? '' : `: ${note}`}`);
          } catch (error) {
            const next = error instanceof HoldfastError ? error.next : undefined;
            problems.push({ name, problem: messageOf(error), next });
            results.push({ name, ok: false, note: messageOf(error) });
            ui.print(
              `${ui.paint.red('✖')} ${name}: ${messageOf(error)}${next === undefined ? '' : `\n    Next: ${next}`}`,
            );
          }
        }
        const exitCode = problems.length === 0 ? exitCodes.ok : exitCodes.refused;
        ui.result(
          { type: 'result', ok: problems.length === 0, exitCode, checks: results },
          problems.length === 0 ? 'All is well.' : `${problems.length} of ${results.length} checks failed.`,
        );
        return exitCode;
      }),
    );
};

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
    {
      name: 'checkout',
      run: async () => {
        const head = await readHead(runtime, directory);
        const changed = await changedFiles(runtime, directory);
        if (changed.length > 0)
          throw new Refusal(
            `tracked files were changed: ${changed.slice(0, 3).join(', ')}`,
            `git -C ${directory} stash`,
          );
        return head.commit.slice(0, 7);
      },
    },
    {
      name: 'remote',
      run: async () => {
        const source = Object.values(config.sources)[0];
        if (source) await fetchRemote(runtime, directory, source.remote);
        return source?.remote;
      },
    },
    {
      name: 'database',
      run: async () => {
        if (!database) return 'none';
        // A look does not make one.
        if (!state.isInstalled() && config.database !== 'none' && config.database.embedded === true) {
          return 'made by ./run.sh setup';
        }
        await database.ensureRunning();
        verifyNoFailedMigration(await database.appliedMigrations());
        await database.proveWayBack(join(state.path, 'doctor-schema.dump'));
        return 'answers, and a restore without rows was tried';
      },
    },
    { name: 'room on the disks', run: async () => await verifySpace(appliance).then(() => undefined) },
    {
      name: 'services',
      run: async () => {
        await verifyPortsAreOurs(appliance, config);
        if (!state.isInstalled()) throw new Refusal('this checkout was never set up', './run.sh setup');
        const running = runningServices(appliance, config);
        for (const name of running) {
          const service = config.services[name];
          if (!service) continue;
          const problem = await findHealthProblem(appliance, service);
          if (problem !== undefined)
            throw new Refusal(`${name} is not healthy: ${problem}`, './run.sh restart');
        }
        const stopped = Object.keys(config.services).filter((name) => !running.includes(name));
        if (stopped.length > 0) throw new Refusal(`not running: ${stopped.join(', ')}`, './run.sh start');
        return `${running.join(', ')} healthy`;
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
