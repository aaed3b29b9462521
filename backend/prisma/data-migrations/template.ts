import type { DataMigration } from '../../src/data-migrations/migration.ts';

/**
 * "run.sh --new NAME" copies this file to the next number, with its id. By hand: NNN_what_it_does.ts (the next free
 * number, small letters, digits, underscores), and the id is that without ".ts". README.md beside it tells the rest.
 */
export const migration: DataMigration = {
  id: 'CHANGE_ME_TO_MATCH_FILENAME',
  description: 'One sentence: what is true afterwards.',

  // Optional. False: there is nothing to do on this appliance. It only reads.
  async shouldRun(prisma) {
    return (await prisma.machine.count({ where: { location: '' } })) > 0;
  },

  // Each row once, whatever happens in between. Without batch: find the rows that still need the change, and only those.
  async up(_prisma, { batch }) {
    await batch({
      model: 'Machine',
      where: { location: '' },
      up: ({ name }: { name: string }) => ({ location: `with ${name}` }),
    });
  },

  // Optional. False, or { ok: false, ... }, fails the migration, and the update with it.
  async verify(prisma) {
    return (await prisma.machine.count({ where: { location: '' } })) === 0;
  },

  // Optional: what "--down" calls.
  async down(_prisma, { batch }) {
    await batch({ table: 'machines', where: `location = 'with ' || name`, set: `location = ''` });
  },
};

export default migration;
