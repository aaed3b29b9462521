import type { DataMigration } from '../../src/data-migrations/migration.ts';

const BATCH_SIZE = 5_000;

/**
 * Machines used to name their department in free text. Each distinct name becomes a department, and each machine
 * points at its own. The text stays: older releases read it, and a later schema migration may drop it.
 */
export const migration: DataMigration = {
  id: '001_populate_department_ids',
  description: 'Turns the free-text department of each machine into a link to a department.',

  async shouldRun(prisma) {
    const rows = await prisma.$queryRaw<unknown[]>`
      SELECT 1 FROM machines WHERE department_id IS NULL AND btrim(department_name) <> '' LIMIT 1`;
    return rows.length > 0;
  },

  async up(prisma, { log, signal }) {
    const created = await prisma.$executeRaw`
      INSERT INTO departments (name)
      SELECT DISTINCT btrim(department_name) FROM machines
      WHERE department_id IS NULL AND btrim(department_name) <> ''
      ON CONFLICT (name) DO NOTHING`;
    log(`created ${created} departments`);

    // One statement a batch, in the order of the primary key: no long lock, no table held in memory.
    let lastId = 0;
    let linked = 0;
    for (;;) {
      signal.throwIfAborted();
      const [batch] = await prisma.$queryRaw<{ count: number; last: number | null }[]>`
        WITH batch AS (
          SELECT id, btrim(department_name) AS name FROM machines
          WHERE id > ${lastId} AND department_id IS NULL AND btrim(department_name) <> ''
          ORDER BY id LIMIT ${BATCH_SIZE}
        ), linked AS (
          UPDATE machines m SET department_id = d.id, updated_at = now()
          FROM batch JOIN departments d USING (name) WHERE m.id = batch.id
          RETURNING m.id
        )
        SELECT (SELECT count(*)::int FROM linked) AS count, max(id) AS last FROM batch`;
      if (batch === undefined || batch.last === null) break;
      lastId = batch.last;
      linked += batch.count;
      log(`linked ${linked} machines`);
    }
  },
};

export default migration;
