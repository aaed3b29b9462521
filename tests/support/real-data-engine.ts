import { execFileSync } from 'node:child_process';
import { appendFileSync, cpSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { replaceIn, type Edit } from './releases.ts';

const backend = join(import.meta.dirname, '../../backend');
const packages = join(backend, 'node_modules');

/** Where the data migrations are in the ledger's checkout from then on. */
export const dataFolder = 'api/prisma/data-migrations';

/**
 * A release of the Prisma ledger on SQLite (`installPrismaLedger`) whose data migrations the reference appliance's own
 * engine runs, in the place of the ledger's simple run.sh. Its packages are lent by every build; the client is generated
 * here, once, for the schema as it then is.
 */
export const bringEngine: Edit = (folder) => {
  rmSync(join(folder, 'api/data-migrations'), { recursive: true });
  mkdirSync(join(folder, dataFolder));
  for (const name of ['run.sh', 'template.ts'])
    cpSync(join(backend, 'prisma/data-migrations', name), join(folder, dataFolder, name));
  for (const part of ['tsconfig.json', 'src/data-migrations'])
    cpSync(join(backend, part), join(folder, 'api', part), { recursive: true });
  replaceIn(folder, 'appliance.yaml', 'dir: api/data-migrations', `dir: ${dataFolder}`);
  appendFileSync(join(folder, '.gitignore'), `/${dataFolder}/registry.json\n`);
  appendFileSync(
    join(folder, 'api/build.js'),
    `
const { mkdirSync, readdirSync, rmSync, symlinkSync } = await import('node:fs');
const packages = ${JSON.stringify(packages)};
mkdirSync('node_modules', { recursive: true });
for (const name of readdirSync(packages).filter((one) => !one.startsWith('.'))) {
  // In the place of the ledger's own, too: what belongs together comes from one place.
  rmSync('node_modules/' + name, { recursive: true, force: true });
  symlinkSync(packages + '/' + name, 'node_modules/' + name);
}
`,
  );
  writeFileSync(
    join(folder, 'api/prisma.config.mjs'),
    `const url = process.env.DATABASE_URL;
export default {
  schema: 'prisma/schema.prisma',
  migrations: { path: 'prisma/migrations', seed: 'node --disable-warning=ExperimentalWarning prisma/seed.mjs' },
  ...(url && { datasource: { url } }),
};
`,
  );
  writeFileSync(
    join(folder, 'api/prisma/seed.mjs'),
    `import { DatabaseSync } from 'node:sqlite';
const database = new DatabaseSync(process.env.DATABASE_URL.slice('file:'.length), { timeout: 5000 });
database.exec("insert into accounts (name, opened) values ('seeded', 0)");
database.close();
`,
  );
};

/** Generates the client for the schema of this working tree, to be committed with it. */
export const generateClient: Edit = (folder) => {
  replaceIn(
    folder,
    'api/prisma/schema.prisma',
    '"../generated"',
    '"../generated"\n  runtime = "nodejs"\n  moduleFormat = "esm"\n  generatedFileExtension = "ts"\n  importFileExtension = "ts"',
  );
  const cwd = join(folder, 'api');
  symlinkSync(packages, join(cwd, 'node_modules'));
  execFileSync(process.execPath, [join(packages, 'prisma/build/index.js'), 'generate'], {
    ...{ cwd, stdio: 'pipe' },
    env: { ...process.env, PRISMA_SCHEMA_ENGINE_BINARY: '/bin/true', PRISMA_HIDE_UPDATE_MESSAGE: '1' },
  });
  rmSync(join(cwd, 'node_modules'));
};

/** A data migration in the documented form. @param body its `up`, and what else it has */
export function engineMigration(folder: string, id: string, body: string): void {
  writeFileSync(
    join(folder, dataFolder, `${id}.ts`),
    `export const migration = {\n  id: '${id}',\n  description: 'A test.',\n${body}\n};\n`,
  );
}
