import type { DataMigration } from '../../../src/data-migrations/migration.ts';

/**
 * JSON to columns. `customers.contact` holds `{"email": "...", "phone": "..."}`; the columns `email` and `phone` were added
 * by this release's schema migration. Some rows hold what nobody expected: up to a hundred of them are left as they are,
 * and kept with their reason in holdfast.data_migration_failures.
 */
export const migration: DataMigration = {
  id: '001_split_contact_json',
  description: 'E-mail and phone of each customer stand in columns of their own.',
  introducedIn: '2.0.0',
  // The schema migration that drops `contact` waits until this one is done on the appliance.
  requiredBefore: '20260601120000_drop_contact',

  async up(prisma, { batch }) {
    return await batch({
      table: 'customers',
      where: 'contact IS NOT NULL AND email IS NULL',
      select: ['contact'],
      maxFailures: 100,
      up: ({ contact }: { contact?: { email?: unknown; phone?: unknown } }) => {
        const { email, phone } = contact ?? {};
        if (typeof email !== 'string' || !email.includes('@')) throw new Error('no e-mail in contact');
        return { email: email.trim().toLowerCase(), phone: typeof phone === 'string' ? phone : null };
      },
    });
  },

  async verify(prisma) {
    const [row] = await prisma.$queryRaw<{ wrong: number }[]>`
      SELECT count(*)::int AS wrong FROM customers WHERE email IS NOT NULL AND email <> lower(btrim(contact->>'email'))`;
    return { ok: row?.wrong === 0, wrong: row?.wrong };
  },

  async down(prisma, { batch }) {
    await batch({ table: 'customers', where: 'email IS NOT NULL', set: 'email = NULL, phone = NULL' });
  },
};

export default migration;
