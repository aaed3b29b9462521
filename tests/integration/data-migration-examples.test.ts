import { cpSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { DataMigrations } from '../support/data-migrations.ts';

/* The examples that a vendor copies do what they say, and may be run again. */

const examples = join(import.meta.dirname, '..', '..', 'backend/prisma/data-migrations/examples');
let appliance: DataMigrations;

beforeAll(async () => {
  appliance = await DataMigrations.start();
});

beforeEach(async () => {
  await appliance.reset();
  await appliance.sql('DROP TABLE users');
});

afterAll(async () => {
  await appliance?.stop();
});

/** An example, whose imports go one folder further up than a migration's. */
function copy(id: string): void {
  mkdirSync(join(appliance.folder, 'examples'), { recursive: true });
  cpSync(join(examples, `${id}.ts`), join(appliance.folder, 'examples', `${id}.ts`));
  appliance.write(`${id}.ts`, `export { migration } from './examples/${id}.ts';\n`);
}

test('JSON to columns: what nobody expected is left out and told; down takes it back', async () => {
  copy('001_split_contact_json');
  await appliance.sql(`
    CREATE TABLE customers (id int PRIMARY KEY, contact jsonb, email text, phone text);
    INSERT INTO customers (id, contact) SELECT i, jsonb_build_object('email', ' U' || i || '@Example.org', 'phone', '0' || i) FROM generate_series(1, 3000) i;
    UPDATE customers SET contact = '[]' WHERE id = 7`);
  expect(await appliance.run()).toMatchObject({ exitCode: 0, stderr: '' });
  expect(await appliance.sql('SELECT email, phone FROM customers WHERE id IN (6, 7) ORDER BY id')).toEqual([
    { email: 'u6@example.org', phone: '06' },
    { email: null, phone: null },
  ]);
  expect(await appliance.sql('SELECT key, reason FROM holdfast.data_migration_failures')).toEqual([
    { key: ['7'], reason: 'row id=7: no e-mail in contact' },
  ]);
  expect(await appliance.run('--down', '1')).toMatchObject({ exitCode: 0 });
  expect(await appliance.sql('SELECT count(email)::int AS left FROM customers')).toEqual([{ left: 0 }]);
});

test('password hashes: a table that is not there is told, an unknown form is left alone', async () => {
  copy('002_rehash_passwords');
  await appliance.sql(`
    CREATE TABLE users (id int PRIMARY KEY, password_hash text NOT NULL);
    INSERT INTO users SELECT i, md5(i::text) FROM generate_series(1, 1500) i;
    UPDATE users SET password_hash = 'plain?' WHERE id = 9`);
  const { exitCode, stdout } = await appliance.run();
  expect(exitCode).toBe(0);
  expect(stdout).toContain('users: 1499 hashed anew, 1 left alone');
  expect(stdout).toContain('operators has no password_hash here');
  const before = await appliance.sql('SELECT * FROM users ORDER BY id');
  expect(before.filter(({ password_hash: hash }) => String(hash).startsWith('v2$'))).toHaveLength(1499);
  await appliance.run('--rerun', '2');
  expect(await appliance.sql('SELECT * FROM users ORDER BY id')).toEqual(before);
});

test('merge of two tables: who is in both is one, nothing is lost, and what pointed there points here', async () => {
  copy('003_merge_clients_into_customers');
  await appliance.sql(`
    CREATE TABLE clients (id int PRIMARY KEY, email text, name text, changed_at timestamptz);
    CREATE TABLE customers (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, email text UNIQUE, name text, changed_at timestamptz);
    CREATE TABLE orders (id int PRIMARY KEY, client_id int, customer_id int);
    INSERT INTO customers (email, name, changed_at) VALUES ('a1@x', 'newer', '2026-02-01'), ('a2@x', 'older', '2026-01-01');
    INSERT INTO clients SELECT i, 'a' || i || '@x', 'client ' || i, '2026-01-15' FROM generate_series(1, 2000) i;
    INSERT INTO orders SELECT i, 1 + i % 2000 FROM generate_series(1, 5000) i`);
  expect(await appliance.run()).toMatchObject({ exitCode: 0, stderr: '' });
  expect(
    await appliance.sql(
      "SELECT email, name FROM customers WHERE email IN ('a1@x', 'a2@x', 'a3@x') ORDER BY 1",
    ),
  ).toEqual([
    { email: 'a1@x', name: 'newer' },
    { email: 'a2@x', name: 'client 2' },
    { email: 'a3@x', name: 'client 3' },
  ]);
  expect(
    await appliance.sql(
      `SELECT count(*)::int AS n FROM orders o JOIN customers u ON u.id = o.customer_id JOIN clients c ON c.id = o.client_id AND c.email = u.email`,
    ),
  ).toEqual([{ n: 5000 }]);
});
