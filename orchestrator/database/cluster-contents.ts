import type { PostgresClient } from './client.ts';
import { quoteLiteral } from './connection.ts';

/** Whether what an appliance needs is there. */
export interface Contents {
  readonly role: boolean;
  readonly database: boolean;
}

export async function readContents(client: PostgresClient, database: string): Promise<Contents> {
  return await client.query<Contents>(
    `select json_build_object('role', exists(select from pg_roles where rolname = 'app'),
      'database', exists(select from pg_database where datname = ${quoteLiteral(database)}));`,
  );
}

/** Whether databases lie there that a swap has made or set aside. */
export async function isSwapOpen(client: PostgresClient): Promise<boolean> {
  return await client.query<boolean>(
    `select to_json(exists(select from pg_database where datname like 'hf\\_%'));`,
  );
}
