import { constants, type DatabaseSync } from 'node:sqlite';

/**
 * The variable that says of the database beside it that it is a copy to try things on. It goes where the copy's URL goes,
 * so that nobody has the one without the other.
 */
export const scratchVariable = 'HOLDFAST_SCRATCH_DATABASE';

/**
 * Keeps a connection in its own file: SQLite itself refuses ATTACH, DETACH and VACUUM INTO, however they are written. A
 * rehearsal whose migration attached the live file deleted the live rows.
 */
export function confine(database: DatabaseSync): void {
  database.setAuthorizer((action, name) => {
    // VACUUM attaches a file without a name, which is gone with the statement.
    if (action === constants.SQLITE_ATTACH && name !== '')
      throw refused(`open ${name ?? 'another database'} (ATTACH or VACUUM INTO)`);
    if (action === constants.SQLITE_DETACH) throw refused(`DETACH ${name ?? 'a database'}`);
    return constants.SQLITE_OK;
  });
}

const refused = (what: string) =>
  new Error(
    `cannot ${what} from a copy that a migration is tried on: what it did there would not go with the copy. Take it out of the migration; what it does is done once by hand`,
  );
