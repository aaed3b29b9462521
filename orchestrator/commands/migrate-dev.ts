import { Refusal } from '../lib/errors.ts';
import { CommandError } from '../runtime/runtime.ts';
import { shadowVariable } from '../schema-migrations/engine/shadow-variable.ts';
import { readMigrations } from '../schema-migrations/inspect.ts';
import { callPrisma, verifyAllowed } from './development.ts';
import { locked } from './locked.ts';
import type { Session } from './session.ts';

/** How Prisma ends where it asks and nobody is there. */
const askedInVain = ({ exitCode, message }: CommandError) =>
  exitCode === 130 || message.includes('the environment is non-interactive');

function unanswered(cause: CommandError): Refusal {
  return new Refusal(
    'cannot develop a migration: Prisma has a question, and nobody is there to answer it; it asks before it empties a database that is not what the migrations make of it, and before a migration that takes data away',
    'the same at a terminal; or ./run.sh db reset, or ./run.sh migrate generate NAME',
    cause,
  );
}

/** `migrate dev`: Prisma's own, with our engine and its shadow database. Writes a migration, and applies it here. */
export async function developMigration(
  session: Session,
  name: string,
  { createOnly = false }: { createOnly?: boolean },
): Promise<number> {
  return await locked(session, 'migrate dev', async (state) => {
    const database = verifyAllowed(state.appliance, 'develop a migration', ['development']);
    await database.ensureRunning();
    const names = async () =>
      (await readMigrations(state.appliance, state.appliance.config)).map((one) => one.name);
    const before = new Set(await names());
    const args = ['migrate', 'dev', '--name', name, ...(createOnly ? ['--create-only'] : [])];
    // The service's user may make no database, so that Prisma gets one.
    await database.withScratch(async (scratch) => {
      const [shadow = ''] = Object.values(scratch.environment);
      await callPrisma(session, state, args, { asks: true, more: { [shadowVariable]: shadow } }).catch(
        (error: unknown) => {
          throw error instanceof CommandError && askedInVain(error) ? unanswered(error) : error;
        },
      );
    });
    const migrations = (await names()).filter((one) => !before.has(one));
    const made = migrations.length === 0 ? 'No change: nothing was written.' : `✔ ${migrations.join(', ')}`;
    session.ui.result(
      { type: 'result', ok: true, exitCode: 0, command: 'migrate dev', migrations, applied: !createOnly },
      `${made}${createOnly && migrations.length > 0 ? `\n  Next: read it; then ./run.sh migrate dev ${name} applies it` : ''}`,
    );
    return 0;
  });
}
