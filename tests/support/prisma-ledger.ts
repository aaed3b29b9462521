import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { ensurePrismaCli } from '../fixtures/schema-engine/prisma-project.ts';
import { Ledger, type LedgerOptions } from './ledger.ts';
import { engineOf, replaceIn, type Edit } from './releases.ts';

const prisma = join(import.meta.dirname, '../../backend/node_modules/prisma/build/index.js');

/** What makes Prisma itself apply the ledger's migrations. It is lent: the ledger's own packages stay few. */
const withPrisma: Edit = (folder) => {
  const provider = engineOf(folder);
  replaceIn(folder, 'appliance.yaml', '  deploy: node migrate.js\n', '');
  writeFileSync(
    join(folder, 'api/prisma.config.mjs'),
    `const url = process.env.DATABASE_URL;
export default { schema: 'prisma/schema.prisma', migrations: { path: 'prisma/migrations' }, ...(url && { datasource: { url } }) };
`,
  );
  writeFileSync(
    join(folder, 'api/prisma/schema.prisma'),
    `generator client {
  provider = "prisma-client"
  output   = "../generated"
}

datasource db {
  provider = "${provider}"
}

model accounts {
  name   String @id
  opened Int
}

model entries {
  id     Int      @id @default(autoincrement())
  note   String   @unique
  amount Int
  at     DateTime @default(now())${provider === 'sqlite' ? '' : ' @db.Timestamptz(6)'}
}
`,
  );
};

/** A ledger whose migrations Prisma applies, updated to a release that says so. */
export async function installPrismaLedger(
  options: LedgerOptions = {},
): Promise<{ ledger: Ledger; installed: string }> {
  await ensurePrismaCli();
  const ledger = await Ledger.install(options);
  const bin = join(ledger.sandbox.root, 'bin');
  mkdirSync(bin);
  writeFileSync(join(bin, 'prisma'), `#!/bin/sh\nexec '${process.execPath}' '${prisma}' "$@"\n`);
  chmodSync(join(bin, 'prisma'), 0o755);
  process.env['PATH'] = `${bin}${delimiter}${process.env['PATH'] ?? ''}`;
  const installed = await ledger.sandbox.publish(withPrisma, { tag: 'v1.1.0' });
  await ledger.succeed('update');
  return { ledger, installed };
}
