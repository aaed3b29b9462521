import { z } from 'zod';
import { argv, duration, insidePath } from './units.ts';

const dataMigrations = z.strictObject({
  dir: insidePath,
  loader: z.literal('auto', { error: 'only "auto" is supported yet' }).default('auto'),
  when: z
    .enum(['in-window', 'after-start', 'before-start'])
    .transform((when) => (when === 'before-start' ? 'in-window' : when))
    .prefault('in-window')
    .meta({
      description:
        '"in-window": before the new version starts; "after-start": once it is healthy. "before-start" is the former name of "in-window".',
    }),
  onFailure: z
    .enum(['fail', 'warn', 'restore'])
    .transform((onFailure) => (onFailure === 'restore' ? 'fail' : onFailure))
    .prefault('fail')
    .meta({
      description:
        '"fail": the update fails, and everything is restored; "warn", with when: after-start only: they run after the commit, while the appliance serves, and a failure is a warning. "restore" is the former name of "fail".',
    }),
  timeout: duration.default(3_600_000),
});

/** `prisma`: where the backend is, and how its migrations are applied. */
export const prismaSchema = z.strictObject({
  dir: insidePath.default('.'),
  deploy: z.union([z.enum(['holdfast', 'none']), argv]).default('holdfast'),
  before: z.array(argv).default([]),
  after: z.array(argv).default([]),
  migrations: insidePath
    .optional()
    .meta({ description: 'Folder of the schema migrations; by default prisma/migrations under "dir".' }),
  requireDown: z.boolean('must be true or false').default(false).meta({
    description: 'Every schema migration must bring a down.sql: migrate lint warns of those without.',
  }),
  migrateInTest: z.boolean('must be true or false').default(false).meta({
    description:
      'With environment: test an update and a setup leave the database alone; true has them migrate it all the same, as update --migrate does once.',
  }),
  timeout: duration.default(3_600_000),
  dataMigrations: dataMigrations.optional(),
});
