import { join } from 'node:path';
import { openAppliance, type Program } from '../appliance/appliance.ts';
import { loadAppliance } from '../config/load.ts';
import { findPostgresBinaries } from '../database/binaries.ts';
import { libpqEnvironment, parseConnection } from '../database/connection.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { parseDump, type Dump } from './dump.ts';
import type { Sandbox } from './sandbox.ts';

/** Reads the sandbox's database, and dumps of it, as text. */
export interface DatabaseReader {
  live(): Promise<Dump>;
  snapshot(id: string): Promise<Dump>;
}

/**
 * PostgreSQL's own programs are asked, past everything by which an update backs up and restores. `--create` so that the
 * database's own properties (owner, settings, comment) are part of what is compared.
 */
export function databaseReader(program: Program, sandbox: Sandbox, runtime: Runtime): DatabaseReader {
  const bin = findPostgresBinaries(['pg_dump', 'pg_restore']) ?? '';
  const read = async (name: string, args: readonly string[], env: Record<string, string> = {}) => {
    const { stdout } = await runtime.run({
      file: join(bin, name),
      args: ['--create', ...args],
      addEnv: { ...env, LC_ALL: 'C' },
      timeoutMs: 120_000,
      label: name,
    });
    return parseDump(stdout);
  };
  return {
    live: async () => {
      const { database } = openAppliance(loadAppliance(sandbox.appliance), { program, runtime });
      const { DATABASE_URL: url = '' } = (await database?.environment()) ?? {};
      const connection = parseConnection(url, 'DATABASE_URL');
      return await read('pg_dump', ['--format=plain'], libpqEnvironment(connection, 'demo'));
    },
    snapshot: async (id) =>
      await read('pg_restore', ['--file=-', join(sandbox.backups, id, 'database.dump')]),
  };
}
