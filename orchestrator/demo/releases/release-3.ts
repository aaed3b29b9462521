import { setVersion, type Release } from './edit.ts';

const schemaMigration = `-- AlterTable
ALTER TABLE "machines" ADD COLUMN "bay" INTEGER;
`;

/** Batches commit as they go, so when it throws, part of the rows is really changed: the damage that must go away. */
const dataMigration = `import type { DataMigration } from '../../src/data-migrations/migration.ts';

const BATCH_SIZE = 50;

/** Locations lose their bay, which becomes a number of its own. Nobody asked what a bay may be called. */
export const migration: DataMigration = {
  id: '003_split_bays_from_locations',
  description: 'Moves the bay out of the location of each machine.',

  async up(prisma, { log, signal }) {
    const rows = await prisma.machine.findMany({ select: { id: true, location: true }, orderBy: { id: 'asc' } });
    for (const [index, { id, location }] of rows.entries()) {
      if (index % BATCH_SIZE === 0) {
        signal.throwIfAborted();
        log(\`\${index} of \${rows.length} machines\`);
      }
      if (index >= rows.length / 2) throw new Error(\`row id=\${id}: "\${location}" has no bay that is a number\`);
      const [hall = '', bay = ''] = location.split(', bay ');
      await prisma.machine.update({ where: { id }, data: { location: hall, bay: Number.parseInt(bay, 10) || null } });
    }
  },
};

export default migration;
`;

/** A broken release: it builds, its schema migration applies, and its data migration throws half-way. */
export const release3: Release = {
  tag: 'v3.0.0',
  summary: 'Bays as numbers',
  edits: [
    ...setVersion('backend', '3.0.0'),
    ...setVersion('frontend', '3.0.0'),
    {
      change: 'backend/prisma/schema.prisma',
      from: '  @@index([departmentId])\n',
      to: '  bay            Int?\n\n  @@index([departmentId])\n',
    },
    { add: 'backend/prisma/migrations/20270201090000_add_bays/migration.sql', text: schemaMigration },
    { add: 'backend/prisma/data-migrations/003_split_bays_from_locations.ts', text: dataMigration },
    { change: 'frontend/index.html', from: '<title>Inventory 2</title>', to: '<title>Inventory 3</title>' },
  ],
};
