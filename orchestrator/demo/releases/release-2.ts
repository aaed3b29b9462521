import { setVersion, type Release } from './edit.ts';

const schemaMigration = `-- AlterTable
ALTER TABLE "machines" ADD COLUMN "asset_tag" TEXT,
ADD COLUMN "zone" TEXT;

-- CreateIndex
CREATE UNIQUE INDEX "machines_asset_tag_key" ON "machines"("asset_tag");
`;

const dataMigration = `import type { DataMigration } from '../../src/data-migrations/migration.ts';

const BATCH_SIZE = 100;

/** Each machine gets the tag that is to be stuck on it, and the zone that its location begins with. */
export const migration: DataMigration = {
  id: '002_fill_asset_tags_and_zones',
  description: 'Gives each machine an asset tag and a zone.',

  async shouldRun(prisma) {
    return (await prisma.machine.count({ where: { assetTag: null } })) > 0;
  },

  async up(prisma, { log, signal }) {
    let lastId = 0;
    let filled = 0;
    for (;;) {
      signal.throwIfAborted();
      const rows = await prisma.$queryRaw<{ id: number }[]>\`
        WITH batch AS (
          SELECT m.id, coalesce(d.code, 'XXX') || '-' || lpad(m.id::text, 6, '0') AS tag
          FROM machines m LEFT JOIN departments d ON d.id = m.department_id
          WHERE m.id > \${lastId} AND m.asset_tag IS NULL
          ORDER BY m.id LIMIT \${BATCH_SIZE}
        )
        UPDATE machines m SET asset_tag = batch.tag, zone = split_part(m.location, ',', 1)
        FROM batch WHERE m.id = batch.id
        RETURNING m.id\`;
      if (rows.length === 0) break;
      lastId = Math.max(...rows.map(({ id }) => id));
      filled += rows.length;
      log(\`\${filled} machines have an asset tag\`);
    }
  },
};

export default migration;
`;

/** A good release: new columns, a data migration that fills them, code that uses them, another page. */
export const release2: Release = {
  tag: 'v2.0.0',
  summary: 'Asset tags and zones',
  edits: [
    ...setVersion('backend', '2.0.0'),
    ...setVersion('frontend', '2.0.0'),
    {
      change: 'backend/prisma/schema.prisma',
      from: '  @@index([departmentId])\n',
      to: '  assetTag       String?       @unique @map("asset_tag")\n  zone           String?\n\n  @@index([departmentId])\n',
    },
    {
      add: 'backend/prisma/migrations/20270104090000_add_asset_tags_and_zones/migration.sql',
      text: schemaMigration,
    },
    { add: 'backend/prisma/data-migrations/002_fill_asset_tags_and_zones.ts', text: dataMigration },
    {
      change: 'backend/src/routes/machine-input.ts',
      from: '{ serial: condition }, ',
      to: '{ serial: condition }, { assetTag: condition }, ',
    },
    {
      change: 'backend/src/routes/machine-input.ts',
      from: '{ location: input.location.trim() }',
      to: "{ location: input.location.trim(), zone: input.location.trim().split(',', 1)[0] ?? '' }",
    },
    { change: 'frontend/index.html', from: '<title>Inventory</title>', to: '<title>Inventory 2</title>' },
    {
      change: 'frontend/src/app.tsx',
      from: '<h1>Inventory</h1>',
      to: '<h1>Inventory 2, with asset tags</h1>',
    },
    {
      change: 'frontend/src/api.ts',
      from: '  readonly departmentName: string | null;\n',
      to: '  readonly departmentName: string | null;\n  readonly assetTag: string | null;\n  readonly zone: string | null;\n',
    },
    {
      change: 'frontend/src/machine-table.tsx',
      from: '<span className="serial">{machine.serial}</span>',
      to: '<span className="serial">\n                {machine.serial} · {machine.assetTag ?? \'no tag yet\'}\n              </span>',
    },
  ],
};
