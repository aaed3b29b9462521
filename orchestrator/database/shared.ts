import { Refusal } from '../lib/errors.ts';
import type { Beyond } from './beyond.ts';
import type { Replacement } from './engine.ts';
import { PostgresDatabase } from './postgres.ts';

/**
 * A database that another environment works on as well (`database.shared`). It is read and dumped as any other; but
 * nobody is kept out of it, no session is ended, and nothing ever takes its place: all of that would hit the other.
 */
export class SharedDatabase extends PostgresDatabase {
  override readonly isShared = true;

  override async proveWayBack(scratchFile: string): Promise<void> {
    await this.proveReadable(scratchFile);
  }

  override async fence(): Promise<string | undefined> {
    return await Promise.resolve(undefined);
  }

  override async seclude(): Promise<void> {}

  override async admitServices(): Promise<void> {}

  override async unfence(): Promise<void> {}

  override async prepareReplacement(): Promise<Replacement> {
    return await Promise.reject(notReplaced());
  }

  override async swap(): Promise<void> {
    await Promise.reject(notReplaced());
  }

  /** The other environment's may be among them. */
  override async findBeyond(): Promise<Beyond> {
    return await Promise.resolve({ leftOver: [], gone: [] });
  }

  /** The same of what was set aside. */
  override async dropSetAside(): Promise<void> {}

  override async sizeOfSetAside(): Promise<number> {
    return await Promise.resolve(0);
  }
}

function notReplaced(): Refusal {
  return new Refusal(
    'cannot restore the database: another environment works on it as well (database.shared)',
  );
}
