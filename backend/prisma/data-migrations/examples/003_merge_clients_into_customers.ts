import type { DataMigration } from '../../../src/data-migrations/migration.ts';

/**
 * Merge of two tables. `clients` of an older product come into `customers`; who is in both (by e-mail) is one and the
 * same, and keeps the newer name. What pointed at a client points at the customer afterwards. `clients` itself stays, for
 * older releases: a later schema migration drops it.
 */
export const migration: DataMigration = {
  id: '003_merge_clients_into_customers',
  description: 'Every client is a customer, and every order points at one.',

  async shouldRun(prisma) {
    const [row] = await prisma.$queryRaw<
      { there: boolean }[]
    >`SELECT to_regclass('clients') IS NOT NULL AS there`;
    return row?.there === true;
  },

  async up(prisma, { batch }) {
    // The callback's rows, and what it writes through `tx`, are committed together.
    await batch({
      table: 'clients',
      rows: async (clients, tx) => {
        await tx.$executeRaw`
          INSERT INTO customers (email, name, changed_at)
          SELECT DISTINCT ON (email) email, name, changed_at
          FROM jsonb_to_recordset(${JSON.stringify(clients)}::jsonb) AS c(email text, name text, changed_at timestamptz)
          ORDER BY email, changed_at DESC
          ON CONFLICT (email) DO UPDATE SET name = excluded.name, changed_at = excluded.changed_at
            WHERE customers.changed_at < excluded.changed_at`;
      },
    });
    await batch({
      table: 'orders',
      where: 'customer_id IS NULL',
      set: 'customer_id = (SELECT u.id FROM customers u JOIN clients c USING (email) WHERE c.id = t.client_id)',
    });
  },

  async verify(prisma) {
    const [row] = await prisma.$queryRaw<{ orphans: number; lost: number }[]>`
      SELECT (SELECT count(*)::int FROM orders WHERE customer_id IS NULL) AS orphans,
        (SELECT count(*)::int FROM clients c WHERE NOT EXISTS (SELECT FROM customers u WHERE u.email = c.email)) AS lost`;
    return { ok: row?.orphans === 0 && row.lost === 0, ...row };
  },
};

export default migration;
