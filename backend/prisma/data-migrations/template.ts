import type { DataMigration } from '../../src/data-migrations/migration.ts';

/**
 * Copy this file to NNN_what_it_does.ts (the next free number, small letters, digits and underscores), set the id to
 * the file's name without ".ts", and read README.md beside it. Say here why the data must change.
 */
export const migration: DataMigration = {
  id: 'CHANGE_ME_TO_MATCH_FILENAME',
  description: 'One sentence: what is true afterwards.',

  // Optional. False: there is nothing to do on this appliance. It only reads.
  async shouldRun(prisma) {
    return (await prisma.machine.count({ where: { location: '' } })) > 0;
  },

  // Safe to run again from its start: it finds the rows that still need the change, and only those.
  async up(prisma, { log, signal }) {
    signal.throwIfAborted();
    const { count } = await prisma.machine.updateMany({
      where: { location: '' },
      data: { location: 'unknown' },
    });
    log(`${count} machines got a location`);
  },
};

export default migration;
