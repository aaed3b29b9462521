import { defineConfig } from 'prisma/config';

const databaseUrl = process.env['DATABASE_URL'];

/**
 * Where the Prisma command line finds its files. The address is left out when DATABASE_URL is unset, because
 * `prisma generate` runs at build time in a stage that is given no database (Prisma's own `env()` would throw).
 */
export default defineConfig({
  schema: 'prisma/schema.prisma',
  migrations: { path: 'prisma/migrations', seed: 'node prisma/seed.ts' },
  ...(databaseUrl === undefined ? {} : { datasource: { url: databaseUrl } }),
});
