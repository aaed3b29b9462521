import { join } from 'node:path';
import type { Command } from 'commander';
import { findPostgresBinaries } from '../database/binaries.ts';
import { exitCodes, messageOf, Refusal, UsageError } from '../lib/errors.ts';
import { plural } from '../lib/units.ts';
import type { Register } from '../main.ts';
import { pruneSnapshots } from '../pipeline/after-run.ts';
import { backupSteps } from '../pipeline/steps.ts';
import { readOrigin } from '../pipeline/target.ts';
import { chooseByName } from '../snapshot/choose.ts';
import { inspectParts } from '../snapshot/inspect-archive.ts';
import { listSnapshots, verifySnapshot } from '../snapshot/store.ts';
import { listBackups } from './backup-list.ts';
import { locked } from './locked.ts';
import { runAndTell } from './run-and-tell.ts';
import type { Session } from './session.ts';

export const registerBackup: Register = (program, act) => {
  const backup = program
    .command('backup')
    .description('create, list, verify and prune snapshots; by itself it lists them')
    .helpCommand(false)
    .allowExcessArguments()
    .action(
      act(async (session, _options, command: Command) => {
        const [word] = command.args;
        if (word !== undefined) {
          const names = command.commands.map((one) => one.name()).join(', ');
          throw new UsageError(
            `there is no command "backup ${word}"; there are ${names}`,
            './run.sh help backup',
          );
        }
        return await Promise.resolve(listBackups(session, command.commands));
      }),
    );
  backup
    .command('create')
    .description('make a snapshot; the services stop for that moment')
    .option('--name <name>', 'a name of yours, by which rollback finds it')
    .option(
      '--scheduled',
      'made by a timer: pruned like those of updates; the others stay until you remove them',
    )
    .action(
      act(async (session, options: { name?: string; scheduled?: boolean }) => await create(session, options)),
    );
  backup
    .command('list')
    .description('the snapshots there are, newest first')
    .action(act(async (session) => await Promise.resolve(listBackups(session))));
  backup
    .command('verify')
    .argument('[snapshot]', 'one of them; all without it')
    .description('read every byte of a snapshot and compare it with its checksums')
    .option('--deep', 'look into archives and dump as well')
    .action(
      act(
        async (session, id: string | undefined, options: { deep?: boolean }) =>
          await verify(session, id, options.deep === true),
      ),
    );
  backup
    .command('prune')
    .description('remove the oldest beyond backups.keep; those made by hand and the newest stay')
    .option('--dry-run', 'only say which')
    .action(
      act(async (session, options: { dryRun?: boolean }) => await pruneNow(session, options.dryRun === true)),
    );
};

async function create(session: Session, options: { name?: string; scheduled?: boolean }): Promise<number> {
  if (options.name !== undefined && !/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(options.name)) {
    throw new UsageError(
      `cannot use the name "${options.name}": letters, digits, dots, hyphens and underscores, at most 64`,
    );
  }
  return await locked(session, 'backup', async ({ appliance, signals }) => {
    const taken = listSnapshots(appliance.backupsDirectory).find(
      ({ manifest }) => manifest?.name === options.name,
    );
    if (options.name !== undefined && taken) {
      throw new Refusal(
        `cannot use the name "${options.name}": the snapshot ${taken.id} has it already`,
        'choose another one',
      );
    }
    const origin = await readOrigin(appliance);
    const target = { commit: origin.commit, label: origin.label, config: appliance.config };
    const kind = options.scheduled ? 'scheduled' : 'manual';
    return await runAndTell(session, {
      appliance,
      signals,
      kind: 'backup',
      steps: backupSteps,
      origin,
      target,
      snapshot: { kind, name: options.name },
    });
  });
}

async function verify(session: Session, id: string | undefined, deep: boolean): Promise<number> {
  const { backupsDirectory, runtime } = session.open();
  const listings = listSnapshots(backupsDirectory);
  const chosen =
    id === undefined
      ? listings
      : [
          listings.find((listing) => listing.id === id) ??
            chooseByName({ listings, commit: '', committed: () => undefined }, id),
        ];
  const results: { id: string; ok: boolean; problem?: string }[] = [];
  for (const { id: one, folder } of chosen) {
    try {
      const manifest = await verifySnapshot(folder);
      const pgRestore = findPostgresBinaries(['pg_restore']);
      const wrong = deep
        ? await inspectParts(runtime, manifest, folder, pgRestore && join(pgRestore, 'pg_restore'))
        : [];
      if (wrong.length > 0) throw new Refusal(wrong.join('; '));
      results.push({ id: one, ok: true });
      session.ui.print(`✔ ${one}: ${plural(manifest.parts.length, 'part')}, all as sealed`);
    } catch (error) {
      results.push({ id: one, ok: false, problem: messageOf(error) });
      session.ui.print(`✖ ${one}: ${messageOf(error)}`);
    }
  }
  const bad = results.filter(({ ok }) => !ok).length;
  const exitCode = bad === 0 ? exitCodes.ok : exitCodes.refused;
  session.ui.result(
    { type: 'result', ok: bad === 0, exitCode, snapshots: results },
    bad === 0
      ? `${plural(results.length, 'snapshot')} verified.`
      : `${bad} of ${plural(results.length, 'snapshot')} cannot be used.\n  Next: ./run.sh backup create, then remove the damaged ones`,
  );
  return exitCode;
}

async function pruneNow(session: Session, dryRun: boolean): Promise<number> {
  return await locked(session, 'prune', async ({ appliance }) => {
    const newest = appliance.state.runIds().at(-1);
    const removed = await pruneSnapshots(appliance, {
      dryRun,
      ...(newest === undefined ? {} : { currentRun: newest }),
    });
    const verb = dryRun ? 'would be removed' : 'removed';
    session.ui.result(
      { type: 'result', ok: true, exitCode: 0, dryRun, removed },
      removed.length === 0
        ? 'Nothing to remove.'
        : `${plural(removed.length, 'snapshot')} ${verb}: ${removed.join(', ')}`,
    );
    return exitCodes.ok;
  });
}
