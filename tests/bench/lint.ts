import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { lint } from '../../orchestrator/schema-migrations/lint/lint.ts';
import { postgresReviewer } from '../../orchestrator/schema-migrations/lint/postgres/lint.ts';
import { sqliteReviewer } from '../../orchestrator/schema-migrations/lint/sqlite/lint.ts';
import { migrationsInCheckout } from '../../orchestrator/schema-migrations/migration-file.ts';

/*
 * How long the lint takes over a long history, files read from disk, against reading them alone:
 *
 *     ./run.sh bench lint [FILES]        (500 by default)
 */

const count = Number(process.argv[2] ?? 500);
const root = mkdtempSync(join(tmpdir(), 'lint-'));

/** A table, a change of it, a link to the one before: what a release brings. */
function migration(number: number): string {
  const before =
    number === 0
      ? ''
      : `ALTER TABLE "t${number}" ADD CONSTRAINT "f${number}" FOREIGN KEY ("other") REFERENCES "t${number - 1}" ("id");\n`;
  const change =
    number === 0
      ? ''
      : `ALTER TABLE "t${number - 1}" ADD COLUMN "more" TEXT, ALTER COLUMN "name" SET NOT NULL;\nCREATE INDEX "i${number}" ON "t${number - 1}" ("name");\n`;
  return `-- CreateTable\nCREATE TABLE "t${number}" ("id" SERIAL NOT NULL, "name" VARCHAR(100), "other" INTEGER, "at" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP, CONSTRAINT "p${number}" PRIMARY KEY ("id"));\n${before}${change}`;
}

const sqlite = (number: number) =>
  `CREATE TABLE "t${number}" ("id" INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, "name" TEXT);\n` +
  (number === 0
    ? ''
    : `PRAGMA foreign_keys=OFF;\nCREATE TABLE "new_t${number - 1}" ("id" INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, "name" TEXT, "more" TEXT);\nINSERT INTO "new_t${number - 1}" ("id", "name") SELECT "id", "name" FROM "t${number - 1}";\nDROP TABLE "t${number - 1}";\nALTER TABLE "new_t${number - 1}" RENAME TO "t${number - 1}";\nPRAGMA foreign_keys=ON;\n`);

function write(folder: string, text: (number: number) => string): void {
  for (let number = 0; number < count; number += 1) {
    const name = `${20_260_101_000_000 + number}_m`;
    mkdirSync(join(root, folder, name), { recursive: true });
    writeFileSync(join(root, folder, name, 'migration.sql'), text(number));
  }
}

async function timed(work: () => unknown): Promise<number> {
  const startedAt = performance.now();
  await work();
  return performance.now() - startedAt;
}

try {
  write('postgres', migration);
  write('sqlite', sqlite);
  const files = migrationsInCheckout(root, 'postgres');
  const others = migrationsInCheckout(root, 'sqlite');
  const reading = await timed(() => migrationsInCheckout(root, 'postgres'));
  let findings = 0;
  const linting = await timed(async () => {
    const linted = lint(files, await postgresReviewer());
    findings = linted.reduce((sum, one) => sum + one.findings.length, 0);
  });
  const lintingSqlite = await timed(async () => lint(others, await sqliteReviewer()));
  console.log(`${count} migrations, ${findings} findings`);
  console.log(`reading them     ${reading.toFixed(0).padStart(6)} ms`);
  console.log(
    `PostgreSQL       ${linting.toFixed(0).padStart(6)} ms   ${(linting / reading).toFixed(1)} times the reading`,
  );
  console.log(
    `SQLite           ${lintingSqlite.toFixed(0).padStart(6)} ms   ${(lintingSqlite / reading).toFixed(1)} times the reading`,
  );
} finally {
  rmSync(root, { recursive: true, force: true });
}
