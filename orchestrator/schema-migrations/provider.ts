import { existsSync, globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Appliance } from '../appliance/appliance.ts';
import type { Config } from '../config/schema.ts';
import { Refusal } from '../lib/errors.ts';
import { filesAt, textsAt } from '../tools/git-facts.ts';
import { migrationsFolder } from './pending.ts';

/**
 * The schema of Prisma and the configuration must speak of one kind of database: migrations that were written for
 * another would be applied half, or not at all.
 *
 * @param commit whose files are meant; those of the checkout where absent
 * @throws Refusal that names both, and where each stands
 */
export async function verifyProvider(
  appliance: Pick<Appliance, 'runtime' | 'directory'>,
  config: Config,
  commit?: string,
): Promise<void> {
  const { database, prisma } = config;
  if (database === 'none' || !prisma) return;
  const wanted = 'file' in database ? 'sqlite' : 'postgresql';
  for (const [file, text] of await readSchemas(appliance, config, commit)) {
    const found = providerIn(text);
    if (found === undefined || found === wanted || `${found}ql` === wanted) continue;
    const key = wanted === 'sqlite' ? 'database.file (SQLite)' : 'a database of PostgreSQL';
    throw new Refusal(
      `cannot go on: ${file} is written for "${found}", and appliance.yaml names ${key}`,
      found === 'sqlite'
        ? 'say database: { file: PATH } in appliance.yaml, or provider = "postgresql" in the schema, and write its migrations anew'
        : `say provider = "${wanted}" in the schema, and write its migrations anew; or name a database of ${found} in appliance.yaml, where Holdfast knows that`,
    );
  }
}

/** What a schema's datasource says, or Prisma's migration_lock.toml. */
function providerIn(text: string): string | undefined {
  const inDatasource = /^\s*datasource\s+\w+\s*\{[^}]*?^\s*provider\s*=\s*"(\w+)"/ms.exec(text)?.[1];
  return inDatasource ?? /^provider\s*=\s*"(\w+)"/m.exec(text)?.[1];
}

async function readSchemas(
  { runtime, directory }: Pick<Appliance, 'runtime' | 'directory'>,
  config: Config,
  commit: string | undefined,
): Promise<ReadonlyMap<string, string>> {
  const folder = join(config.prisma?.dir ?? '.', 'prisma');
  const lock = join(migrationsFolder(config) ?? '', 'migration_lock.toml');
  if (commit !== undefined) {
    const there = await filesAt(runtime, directory, commit, folder);
    return await textsAt(
      runtime,
      directory,
      commit,
      there.filter((path) => path.endsWith('.prisma') || path === lock),
    );
  }
  const files = [...globSync(`${folder}/**/*.prisma`, { cwd: directory }), lock];
  return new Map(
    files
      .filter((file) => existsSync(join(directory, file)))
      .map((file) => [file, readFileSync(join(directory, file), 'utf8')]),
  );
}
