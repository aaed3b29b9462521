import { z } from 'zod';
import { databaseSchema } from './database-schema.ts';
import { lxdSchema } from './lxd-schema.ts';
import { prismaSchema } from './prisma-schema.ts';
import { argv, duration, environment, identifier, insidePath, notYet } from './units.ts';

/*
 * appliance.yaml: one schema (its parts database and prisma in files of their own), from which come the check, the defaults, the types and the JSON
 * Schema for editors. What is written by hand below as "not yet" is known, and refused by name.
 */

const signals = ['SIGTERM', 'SIGINT', 'SIGQUIT', 'SIGHUP', 'SIGKILL'] as const;
const urlForm = 'must be an http:// or https:// URL';
const httpUrl = z.string({ error: urlForm }).regex(/^https?:\/\//, urlForm);
const pointerForm = 'must be a JSON pointer such as /database';
const pointer = z.string({ error: pointerForm }).regex(/^(\/[^/]*)+$/, pointerForm);
const portForm = 'must be a port from 1 to 65535';

const health = z.strictObject({
  url: httpUrl.meta({ description: 'Asked until it answers 2xx; {port} is the port of the service.' }),
  expect: z
    .record(
      pointer,
      z.union([z.string(), z.number(), z.boolean(), z.null()], {
        error: 'must be a text, a number, true, false or null',
      }),
    )
    .default({}),
  timeout: duration.default(120_000),
  stableFor: duration.default(3_000),
});

const release = z.strictObject({
  url: httpUrl,
  pointer,
  equals: z.literal('commit').default('commit'),
});

const container = z.enum(['backend', 'frontend']).default('backend').meta({
  description: 'The container that it runs in, with runtime: lxd.',
});

const service = z.strictObject({
  dir: insidePath.default('.'),
  container,
  start: argv,
  unit: notYet('a systemd unit as a service').optional(),
  user: notYet('a user of its own for a service').optional(),
  port: z.int(portForm).min(1, portForm).max(65_535, portForm).optional(),
  env: environment.default({}),
  after: z.array(identifier).default([]),
  state: z
    .literal('none', { error: 'only "none" is supported yet; name what the service keeps under "data"' })
    .default('none'),
  gate: z.enum(['preload', 'flag', 'none']).default('preload').meta({
    description:
      'How outside requests are kept away between the start and the commit of an update: "preload" (a Node service: Holdfast answers 503 in its place), "flag" (the service honours HOLDFAST_GATE_FILE itself), "none" (not at all: writes made meanwhile are lost if the update fails).',
  }),
  stop: z
    .strictObject({
      signal: z.enum(signals).default('SIGTERM'),
      timeout: duration.default(30_000),
      kill: z.enum(['group', 'process']).default('group'),
    })
    .prefault({}),
  health: health.optional(),
  release: release.optional(),
});

const build = z.strictObject({
  dir: insidePath.default('.'),
  container,
  phase: z.enum(['before-migrations', 'after-migrations']).default('before-migrations'),
  install: z.union([z.enum(['auto', 'none']), argv]).default('auto'),
  build: z.array(argv).default([]),
  products: z.array(insidePath).default(['node_modules']),
  database: z.enum(['none', 'available']).default('none').meta({
    description:
      '"available": the build may read the database (it gets DATABASE_URL); "none": it gets no database URL.',
  }),
  env: environment.default({}),
  timeout: duration.default(1_800_000),
});

const webhook = z
  .string()
  .regex(/^(https?:\/\/|\{env\.)/, 'must be an http:// or https:// URL, or begin with {env.NAME}')
  .meta({
    description:
      'A webhook. Its path is often its password: {env.NAME} takes it, or a part of it, from an env file.',
  });

const notification = z
  .strictObject({
    url: webhook.optional(),
    command: argv.optional(),
    on: z
      .array(z.enum(['updated', 'migrated', 'restored', 'rolled-back', 'not-restored', 'refused', 'backup']))
      .min(1)
      .default(['updated', 'migrated', 'restored', 'rolled-back', 'not-restored']),
    timeout: duration.default(10_000),
  })
  .refine((entry) => (entry.url === undefined) !== (entry.command === undefined), {
    message: 'needs either url or command',
  });

const hooks = z.strictObject({
  dir: insidePath
    .default('hooks')
    .meta({ description: 'The folder with before-STEP.d and after-STEP.d, which hold executables.' }),
  timeout: duration.default(60_000).meta({ description: 'How long one hook may take.' }),
});

const keepForm = 'must be a whole number from 1 on';

export const applianceSchema = z.strictObject({
  version: z.literal(1, { error: 'must be 1, the version of this format' }),
  name: identifier,
  environment: z.enum(['production', 'test', 'development']).default('production').meta({
    description:
      '"production": everything as promised. "test": updates and setups do not migrate by themselves, and db push is allowed. "development": db push, db reset and migrate dev are.',
  }),
  node: z
    .union([
      z.literal('auto'),
      z
        .string()
        .startsWith('/', 'must be "auto" or the path of a node program; a version is not supported yet'),
    ])
    .default('auto')
    .meta({
      description: 'The Node of the appliance: auto (the one that runs Holdfast), or the path of another.',
    }),
  packageManager: z.enum(['auto', 'npm'], { error: 'only "npm" is supported yet' }).default('auto'),
  runtime: z.enum(['local', 'lxd'], { error: 'must be "local" or "lxd"' }).default('local').meta({
    description: '"lxd": PostgreSQL, backend and frontend in containers of LXD or Incus (docs/OPERATING.md).',
  }),
  lxd: lxdSchema.prefault({}),
  stateDirectory: z.string().default('.holdfast'),
  stageDirectory: notYet('stageDirectory').optional(),
  stage: notYet('stage').optional(),
  requires: z
    .strictObject({
      commands: z.array(z.string()).default([]),
      fromVersion: z
        .union([z.literal('none'), z.string().regex(/^v?\d+(\.\d+){0,2}$/)], {
          // YAML reads 2.10 as the number 2.1.
          error: 'must be "none" or a version in quotes, such as "2.4.0"',
        })
        .default('none')
        .meta({
          description: 'An update to this version is refused on an appliance that is older than that.',
        }),
    })
    .prefault({}),
  sources: z
    .record(
      identifier,
      z.strictObject({
        dir: z
          .literal('.', { error: 'a source in another folder than "." is not supported yet' })
          .default('.'),
        remote: z.string().default('origin'),
        follow: z
          .union([z.strictObject({ branch: z.string() }), z.strictObject({ tag: z.string() })])
          .default({ branch: 'main' }),
      }),
    )
    .refine((sources) => Object.keys(sources).length === 1, {
      message: 'more than one source is not supported yet',
    })
    .prefault({ app: {} }),
  env: z.strictObject({ files: z.array(z.string()).default([]), set: environment.default({}) }).prefault({}),
  builds: z.record(identifier, build).default({}),
  services: z.record(identifier, service),
  database: databaseSchema.default('none'),
  prisma: prismaSchema.optional(),
  stores: z
    .record(
      identifier,
      z.strictObject(
        {
          none: z.string().meta({ description: 'Why this store is not backed up; printed as NOT RESTORED.' }),
        },
        { error: 'only { none: REASON } is supported yet' },
      ),
    )
    .default({}),
  data: z
    .array(z.strictObject({ path: z.string().min(1), exclude: z.array(z.string()).default([]) }))
    .default([]),
  exclude: z
    .array(insidePath)
    .default([])
    .meta({ description: 'Paths of the checkout that are neither backed up nor restored, such as caches.' }),
  backups: z
    .strictObject({
      directory: z.string().default('backups'),
      keep: z.int(keepForm).min(1, keepForm).default(5),
    })
    .prefault({}),
  hooks: hooks.prefault({}),
  notify: z.array(notification).default([]),
});

/** The parsed configuration: defaults filled in, durations in milliseconds. */
export type Config = z.output<typeof applianceSchema>;
export type ServiceConfig = Config['services'][string];
export type BuildConfig = Config['builds'][string];
export type NotificationConfig = Config['notify'][number];
export type Argv = string | readonly string[];
