import type { Session } from '../session.ts';

/**
 * What a batch needs of its session, whatever the role or the database has set: keys as text that is read back as what
 * they were, dates as Prisma and pg read them, and no limit of time but the batch's own.
 */
const SETTINGS: Readonly<Record<string, string>> = {
  extra_float_digits: '1',
  DateStyle: 'ISO',
  IntervalStyle: 'postgres',
  statement_timeout: '0',
  idle_in_transaction_session_timeout: '0',
  idle_session_timeout: '0',
  transaction_timeout: '0',
};

/** Set for each batch, in its transaction; a dry run has one transaction for everything. */
const LIMITS = ['lock_timeout'];

/**
 * Sets them on the batch's session.
 *
 * @returns gives back what was set before: what limits a batch must not limit what comes after it in a dry run
 */
export async function settleBatch({ client, isTried }: Session): Promise<() => Promise<void>> {
  // Not every version of PostgreSQL knows all of them.
  const { rows } = await client.query<{ name: string; was: string }>(
    'SELECT name, current_setting(name) AS was FROM pg_settings WHERE name = ANY($1)',
    [[...Object.keys(SETTINGS), ...LIMITS]],
  );
  const known = rows.filter(({ name }) => Object.hasOwn(SETTINGS, name));
  const set = async (names: readonly string[], values: readonly (string | undefined)[]): Promise<void> => {
    await client.query(
      'SELECT set_config(name, value, $3) FROM unnest($1::text[], $2::text[]) AS s(name, value)',
      [names, values, isTried],
    );
  };
  await set(
    known.map(({ name }) => name),
    known.map(({ name }) => SETTINGS[name]),
  );
  return async () =>
    await set(
      rows.map(({ name }) => name),
      rows.map(({ was }) => was),
    );
}
