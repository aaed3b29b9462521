import { DriverAdapterError } from '@prisma/driver-adapter-utils';
import type { EngineSession } from './engine-session.ts';
import { isConnectionLost } from './connection-error.ts';
import { describeScriptError, type ScriptFailure } from './script-error.ts';
import { setSearchPath } from './session.ts';

/**
 * An error that the WebAssembly engine shows with these words. It rewrites the codes that it knows ("No such table: (not
 * available)" for 42P01), hence one that it does not.
 */
export function databaseError(message: string): ConstructorParameters<typeof DriverAdapterError>[0] {
  const nothingMore = { detail: undefined, column: undefined, hint: undefined };
  return { kind: 'postgres', code: 'XX000', severity: 'ERROR', message, ...nothingMore };
}

/** An error of a script, with the database's own account for whoever knows which migration it was. */
export class ScriptError extends DriverAdapterError {
  readonly failure: ScriptFailure;
  readonly script: string;

  constructor(
    failure: ScriptFailure,
    script: string,
    cause: ConstructorParameters<typeof DriverAdapterError>[0],
  ) {
    super(cause);
    this.failure = failure;
    this.script = script;
  }
}

const postgresCause = ({ text }: ScriptFailure) => databaseError(text.replace(/^ERROR: /, ''));

/**
 * Sends a script whole, as one simple query: PostgreSQL runs it as one implicit transaction, all or nothing, and a
 * statement that must be outside of one (CREATE INDEX CONCURRENTLY) runs when it is alone. `@prisma/adapter-pg` would
 * split it at every semicolon, also inside of function bodies and strings, and commit each piece.
 *
 * A script with BEGIN and COMMIT of its own means what PostgreSQL says it means. One that leaves its transaction open
 * is rolled back and fails: otherwise the engine's own records would go into that transaction, and all of it be
 * lost at the end while the CLI reports success.
 *
 * Afterwards `search_path` is as before, because dumps used as baselines empty it and the engine names its table
 * without a schema.
 *
 * @throws {ScriptError}
 * Source: https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-MULTI-STATEMENT
 */
export async function executeScript(session: EngineSession, script: string): Promise<void> {
  const { client, settings } = session;
  await session.run(async () => {
    try {
      await client.query(script);
    } catch (error) {
      // After a BEGIN of the script's own the failed transaction is still open, and would refuse the engine's records.
      if (client.getTransactionStatus() !== 'I') await client.query('ROLLBACK').catch(() => undefined);
      await setSearchPath(client, settings.schema).catch(() => undefined);
      const failure = describeScriptError(error, script);
      throw new ScriptError(
        failure,
        script,
        isConnectionLost(error) ? { kind: 'ConnectionClosed' } : postgresCause(failure),
      );
    }
    const isOpen = client.getTransactionStatus() !== 'I';
    if (isOpen) await client.query('ROLLBACK');
    await setSearchPath(client, settings.schema);
    if (isOpen) {
      const text =
        'ERROR: the script begins a transaction and does not end it; it was rolled back.\nHINT: Add COMMIT at its end, or take BEGIN out: a script is one transaction anyway.';
      const failure = { code: 'none', text };
      throw new ScriptError(failure, script, postgresCause(failure));
    }
  });
}
