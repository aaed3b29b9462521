import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { engineOf, release, replaceIn, schemaMigration, slowDataMigration, type Edit } from './releases.ts';

/** A release that changes everything that a good one changes, and then breaks at one place. */
const broken =
  (breakIt: Edit): Edit =>
  (folder) => {
    release(3)(folder);
    breakIt(folder);
  };

export const good: Edit = release(3);

export const missingProgram = broken((folder) =>
  replaceIn(folder, 'appliance.yaml', 'env: {', 'requires: { commands: [no-such-program] }\nenv: {'),
);

/** What npm refuses: the lockfile does not have what package.json asks for. */
export const badLockfile = broken((folder) => {
  const path = join(folder, 'api/package.json');
  const json = JSON.parse(readFileSync(path, 'utf8')) as { dependencies?: object };
  writeFileSync(
    path,
    JSON.stringify({ ...json, dependencies: { ...json.dependencies, 'pg-format': '1.0.4' } }),
  );
});

export const buildError = broken((folder) =>
  writeFileSync(join(folder, 'api/build.js'), "throw new Error('the api does not build');\n"),
);

/** Fails as its third migration, after two that succeeded, in its last statement. */
const badSql = `create table half_made (i integer);
insert into entries (note, amount) values ('by a migration that fails', 1);
insert into no_such_table values (1);
`;
export const badSchemaMigration = broken((folder) => {
  // Nothing that is lost, or it would be refused before anything stops.
  const more =
    engineOf(folder) === 'sqlite' ? 'alter table log rename to book' : 'drop sequence receipt_numbers';
  schemaMigration(folder, '0004_good', `alter table accounts add column closed integer; ${more};`);
  schemaMigration(folder, '0005_bad', badSql);
});

/** The same, with Prisma's own command line instead of the fixture's: it is found on PATH. */
export const badPrismaMigration = broken((folder) => {
  badSchemaMigration(folder);
  replaceIn(folder, 'appliance.yaml', 'deploy: node migrate.js', 'deploy: holdfast');
  const schema = `datasource db {\n  provider = "${engineOf(folder)}"\n}\n`;
  writeFileSync(join(folder, 'api/prisma/schema.prisma'), schema);
  writeFileSync(
    join(folder, 'api/prisma.config.ts'),
    "export default { schema: 'prisma/schema.prisma', migrations: { path: 'prisma/migrations' }, datasource: { url: process.env.DATABASE_URL } };\n",
  );
});

/** Runs, and says that it is not well. */
export const unhealthy = broken((folder) => {
  replaceIn(
    folder,
    'api/src/server.js',
    "return { database: 'ok' };",
    "throw new Error('the books do not add up');",
  );
  replaceIn(folder, 'appliance.yaml', 'timeout: 20s, stableFor: 200ms', 'timeout: 3s, stableFor: 200ms');
});

export const badDataMigration = broken((folder) =>
  slowDataMigration(folder, '004_half_way', 'throw new Error(`row ${id}: cannot be migrated`);'),
);

export const frontendError = broken((folder) => {
  // It has replaced half of what it makes before it fails.
  cpSync(join(folder, 'web/build.js'), join(folder, 'web/half.js'));
  writeFileSync(
    join(folder, 'web/build.js'),
    "await import('./half.js');\nthrow new Error('the web does not build');\n",
  );
});

export const endsAtStart = broken((folder) =>
  replaceIn(folder, 'api/src/server.js', 'server.listen', "throw new Error('cannot start');\nserver.listen"),
);

/** Healthy for a moment: it ends while it is watched. */
export const endsSoon = broken((folder) =>
  replaceIn(
    folder,
    'api/src/server.js',
    'server.listen',
    'setTimeout(() => process.exit(3), 150);\nserver.listen',
  ),
);

export const wrongCommit = broken((folder) =>
  replaceIn(
    folder,
    'api/build.js',
    'process.env.HOLDFAST_COMMIT',
    "'0000000000000000000000000000000000000000'",
  ),
);

/** Answers, but is not healthy; and what it answers 200 to must not have been let through the gate. */
export const removesItself = broken((folder) => rmSync(join(folder, 'web/src/page.js')));

/** Beside the checkout: made by a release as soon as it waits. */
export const waitingMark = 'waiting';

/** Waits in the middle of `npm ci`, with a grandchild that left its process group. */
export const waitsInInstallation = broken((folder) => {
  replaceIn(
    folder,
    'api/package.json',
    '"private": true',
    '"private": true,\n  "scripts": { "postinstall": "node wait.js" }',
  );
  writeFileSync(
    join(folder, 'api/wait.js'),
    `import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
spawn('sleep', ['300'], { detached: true });
writeFileSync('../../${waitingMark}', '');
`,
  );
});

/** Waits in the middle of its rows, in a statement or with the file locked, and a grandchild that left its process group. */
export const waitsInDataMigration = broken((folder) => {
  const wait =
    engineOf(folder) === 'sqlite'
      ? "await client.query('begin immediate'); await new Promise((resolve) => setTimeout(resolve, 300_000));"
      : "await client.query('select pg_sleep(300)');";
  slowDataMigration(
    folder,
    '004_waits',
    `const { spawn } = await import('node:child_process');
    spawn('sleep', ['300'], { detached: true, stdio: 'ignore' });
    const { writeFileSync } = await import('node:fs');
    setTimeout(() => writeFileSync(new URL('../../../${waitingMark}', import.meta.url), ''), 50);
    ${wait}`,
  );
});

/** Of a container, which has a disk of its own: what it writes there stays. */
export const fillsItsContainer = broken((folder) =>
  writeFileSync(
    join(folder, 'api/build.js'),
    "import { execSync } from 'node:child_process';\nexecSync('cat /dev/zero >/var/tmp/filler');\n",
  ),
);
