import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import type { SqlDriverAdapterFactory } from '@prisma/driver-adapter-utils';
import type { Pool } from 'pg';
import type { PrismaClient } from '../generated/client.ts';

/*
 * Finds the Prisma client of the application that the migrations belong to, wherever its schema says that it is
 * generated to.
 */

type Constructor = new (options: {
  adapter: SqlDriverAdapterFactory;
  transactionOptions?: unknown;
}) => PrismaClient;

/** Long batches are the point of data migrations: Prisma's own five seconds for a transaction are not enough. */
const transactionOptions = { maxWait: 60_000, timeout: 24 * 3_600_000 };

/**
 * Makes a client on this pool. `$disconnect()` ends the pool too.
 *
 * @param directory the package's folder, where package.json and the schema are
 * @param schema of the database, for models that name none; Prisma's own default, "public", when undefined
 * @throws Error that says where a client was looked for.
 */
export async function openPrisma(
  directory: string,
  pool: Pool,
  schema: string | undefined,
): Promise<PrismaClient> {
  const options = { disposeExternalPool: true, ...(schema === undefined ? {} : { schema }) };
  // A backend on SQLite has none.
  const { PrismaPg } = await import('@prisma/adapter-pg');
  return await makeClient(directory, new PrismaPg(pool, options));
}

/** The same on any adapter. */
export async function makeClient(directory: string, adapter: SqlDriverAdapterFactory): Promise<PrismaClient> {
  const PrismaClientOfApp = await findConstructor(directory);
  return new PrismaClientOfApp({ adapter, transactionOptions });
}

async function findConstructor(directory: string): Promise<Constructor> {
  const tried: string[] = [];
  for (const candidate of candidates(directory)) {
    tried.push(path.relative(directory, candidate) || candidate);
    if (!existsSync(candidate)) continue;
    const found: { PrismaClient?: unknown; default?: { PrismaClient?: unknown } } = await import(
      pathToFileURL(candidate).href
    );
    const constructor = found.PrismaClient ?? found.default?.PrismaClient;
    if (typeof constructor === 'function') return constructor as Constructor;
  }
  throw new Error(`no Prisma client was found (${tried.join(', ')}). Run: npx prisma generate`);
}

function candidates(directory: string): string[] {
  const names = ['client.ts', 'client.js', 'client.mjs', 'index.ts', 'index.js', 'index.mjs'];
  const outputs = readOutputs(directory);
  const generated = outputs.flatMap((output) => names.map((name) => path.join(output, name)));
  try {
    return [...generated, createRequire(path.join(directory, 'package.json')).resolve('@prisma/client')];
  } catch {
    return generated;
  }
}

/** Where the schema's generators put their clients: each `output`, against the folder of the file that says so. */
function readOutputs(directory: string): string[] {
  return schemaFiles(directory).flatMap((file) => {
    const text = readFileSync(file, 'utf8').replaceAll(/^\s*\/\/.*$/gm, '');
    return [...text.matchAll(/^\s*generator\s+\w+\s*\{([^}]*)\}/gm)].flatMap(([, body = '']) => {
      if (!/provider\s*=\s*"prisma-client(?:-js)?"/.test(body)) return [];
      const output = /output\s*=\s*"([^"]+)"/.exec(body)?.[1];
      return output === undefined ? [] : [path.resolve(path.dirname(file), output)];
    });
  });
}

function schemaFiles(directory: string): string[] {
  for (const place of ['prisma/schema.prisma', 'schema.prisma', 'prisma/schema', 'prisma']) {
    const at = path.join(directory, place);
    if (!existsSync(at)) continue;
    if (!statSync(at).isDirectory()) return [at];
    const found = readdirSync(at).filter((name) => name.endsWith('.prisma'));
    if (found.length > 0) return found.map((name) => path.join(at, name));
  }
  return [];
}
