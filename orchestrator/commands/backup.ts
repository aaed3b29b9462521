import { join } from 'node:path';
import type { Command } from 'commander';
import type { Appliance } from '../appliance/appliance.ts';
import { exitCodes, Refusal, UsageError } from '../lib/errors.ts';
import { shellWord } from '../lib/shell-word.ts';
import { formatBytes, plural } from '../lib/units.ts';
import type { Register } from '../main.ts';
import { pruneSnapshots } from '../pipeline/after-run.ts';
import { backupSteps } from '../pipeline/steps.ts';
import { readOrigin } from '../pipeline/target.ts';
import { sizeOfTree } from '../snapshot/inventory.ts';
import { listSnapshots } from '../snapshot/store.ts';
import { exportOne, importOne } from './backup-archive.ts';
import { listBackups } from './backup-list.ts';
import { verify } from './backup-verify.ts';
import { locked, type Locked } from './locked.ts';
import { runAndTell } from './run-and-tell.ts';
import type { Session } from './session.ts';

export const registerBackup: Register = (program, act) => {
  const backup = program
    .command('backup')
    .description('create, list, verify, prune, export and import snapshots; by itself it lists them')
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
    .option('--deep', 'look into the archives as well, and restore the database into a scratch one')
    .action(
      act(
        async (session, id: string | undefined, options: { deep?: boolean }) =>
          await verify(session, id, options.deep === true),
      ),
    );
  backup
    .command('prune')
    .description(
      'remove the oldest beyond backups.keep; those made by hand, imported, or needed to go back stay',
    )
    .option('--dry-run', 'only say which, and what would be free')
    .option('--failed', 'also what the last run set aside for whoever looks into its failure')
    .action(
      act(
        async (session, options: { dryRun?: boolean; failed?: boolean }) => await pruneNow(session, options),
      ),
    );
  backup
    .command('export')
    .argument('<snapshot>', 'its id or name, or latest')
    .argument('<file>', 'the archive to write, such as snapshot.tar.zst')
    .description('write a snapshot as one archive, to be kept elsewhere or imported there; it holds secrets')
    .option('--overwrite', 'replace the file if it exists')
    .action(
      act(
        async (session, id: string, file: string, options: { overwrite?: boolean }) =>
          await exportOne(session, id, file, options),
      ),
    );
  backup
    .command('import')
    .argument('<file>', 'an archive that export wrote')
    .description(
      'bring the snapshot of an archive in; a rollback to it runs what is in it: import what you trust',
    )
    .option('--other-appliance', 'take a snapshot of an appliance of another name, too')
    .action(
      act(
        async (session, file: string, options: { otherAppliance?: boolean }) =>
          await importOne(session, file, options),
      ),
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
    const kind = options.scheduled ? 'scheduled' : 'manual';
    return await takeSnapshot(session, { appliance, signals }, { kind, name: options.name });
  });
}

/** Makes a snapshot under the lock and tells of it; gives the exit code. */
export async function takeSnapshot(
  session: Session,
  { appliance, signals }: Pick<Locked, 'appliance' | 'signals'>,
  snapshot: { readonly kind: 'manual' | 'scheduled'; readonly name: string | undefined },
): Promise<number> {
  const origin = await readOrigin(appliance);
  const target = { commit: origin.commit, label: origin.label, config: appliance.config };
  const steps = backupSteps;
  return await runAndTell(session, { appliance, signals, kind: 'backup', steps, origin, target, snapshot });
}

async function pruneNow(
  session: Session,
  { dryRun = false, failed = false }: { dryRun?: boolean; failed?: boolean },
): Promise<number> {
  return await locked(session, 'prune', async ({ appliance }) => {
    const currentRun = appliance.state.runIds().at(-1);
    const { removed, freedBytes } = await pruneSnapshots(appliance, { dryRun, failed, currentRun });
    const room = freedBytes > 0 ? formatBytes(freedBytes) : '';
    const snapshots =
      removed.length === 0 ? '' : `${plural(removed.length, 'snapshot')} (${removed.join(', ')})`;
    const what = [snapshots, room].filter((text) => text !== '').join(', ');
    const advice = adviseOnRoom(appliance, failed ? undefined : currentRun);
    session.ui.result(
      { type: 'result', ok: true, exitCode: 0, dryRun, removed, freedBytes, advice },
      [
        what === '' ? 'Nothing to remove.' : `${dryRun ? 'Would be removed' : 'Removed'}: ${what}.`,
        ...advice.map((line) => `  ${line}`),
      ].join('\n'),
    );
    return exitCodes.ok;
  });
}

/** What pruning leaves alone although it takes room, each with the command that frees it. */
function adviseOnRoom({ state, backupsDirectory, config }: Appliance, lastRun: string | undefined): string[] {
  const advice: string[] = [];
  const failed = lastRun === undefined ? 0 : sizeOfTree(join(state.run(lastRun), 'failed'));
  if (failed > 0)
    advice.push(
      `What the run ${lastRun} set aside takes ${formatBytes(failed)}: ./run.sh backup prune --failed`,
    );
  for (const { id, folder, manifest, imported } of listSnapshots(backupsDirectory)) {
    if (manifest && manifest.kind !== 'manual' && imported !== true) continue;
    const why = manifest === undefined ? 'damaged' : imported === true ? 'imported' : 'made by hand';
    advice.push(`${id} (${why}) takes ${formatBytes(sizeOfTree(folder))}: rm -r ${shellWord(folder)}`);
  }
  if (config.backups.keep > 1)
    advice.push(`Of those made by itself ${config.backups.keep} are kept: backups.keep in appliance.yaml`);
  return advice;
}
