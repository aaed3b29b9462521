import { z } from 'zod';
import { duration, identifier, insidePath, notYet } from './units.ts';

/*
 * appliance.yaml: one schema, from which come the check, the defaults, the types and the JSON
 * Schema for editors. What is written by hand below as "not yet" is known, and refused by name.
 */

const signals = ['SIGTERM', 'SIGINT', 'SIGQUIT', 'SIGHUP', 'SIGKILL'] as const;
const urlForm = 'must be an http:// or https:// URL';
const httpUrl = z.string({ error: urlForm }).regex(/^https?:\/\//, urlForm);
const argv = z
  .union([z.string().trim().min(1), z.array(z.string()).min(1)], {
    error: 'must be a command: words separated by spaces, or a list of arguments',
  })
  .meta({ description: 'A command: words separated by spaces, or a list of arguments. No shell reads it.' });
const pointerForm = 'must be a JSON pointer such as /database';
const pointer = z.string({ error: pointerForm }).regex(/^(\/[^/]*)+$/, pointerForm);
const variableForm = 'must be the name of an environment variable';
const variable = z.string({ error: variableForm }).regex(/^[A-Za-z_][A-Za-z0-9_]*$/, variableForm);
const value = z.union([z.string(), z.number(), z.boolean()], {
  error: 'must be a text, a number, or true or false',
});
const environment = z.record(variable, value.transform(String));
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

const service = z.strictObject({
  dir: insidePath.default('.'),
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

const prisma = z.strictObject({
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

const embeddedDatabase = z.strictObject({ embedded: z.literal(true), name: identifier.optional() });
const externalDatabase = z.strictObject({
  embedded: z.literal(false).optional(),
  url: z.union([variable.transform((name) => [name]), z.array(variable).min(1)]),
  adminUrl: variable.optional(),
  restore: z.enum(['auto', 'swap'], { error: 'only "auto" and "swap" are supported yet' }).default('auto'),
  fence: z.enum(['auto', 'none']).default('auto'),
  shared: z.boolean('must be true or false').default(false).meta({
    description:
      'Another environment works on this database as well: it is backed up, but never fenced and never restored; rollback, migrate down and db reset are refused.',
  }),
});

const fileForm = 'must be the path of a file, without ? # % and control characters';
const fileDatabase = z.strictObject({
  file: z
    .string({ error: fileForm })
    .regex(/^[^?#%\p{Cc}]*[^?#%\p{Cc}/]$/u, fileForm)
    .meta({
      description:
        'The file of an SQLite database, inside the checkout or absolute. Programs get its address as file:/absolute/path.',
    }),
  url: z
    .union([variable.transform((name) => [name]), z.array(variable).min(1)])
    .default(['DATABASE_URL'])
    .meta({ description: 'The variables that are given the address.' }),
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
      '"production": everything as promised. "test": updates and setups do not migrate by themselves, and db push is allowed. "development": db push and db reset are.',
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
  runtime: z.literal('local', { error: '"lxd" is not supported yet' }).default('local'),
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
  database: z.union([embeddedDatabase, externalDatabase, fileDatabase, z.literal('none')]).default('none'),
  prisma: prisma.optional(),
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
export type DatabaseConfig = Config['database'];
export type Argv = string | readonly string[];

/** The kind of a database: what an update cannot change by itself. */
export function kindOfDatabase(database: DatabaseConfig): 'none' | 'embedded' | 'external' | 'file' {
  if (database === 'none') return 'none';
  if ('file' in database) return 'file';
  return database.embedded === true ? 'embedded' : 'external';
}

/** The variables of the environment by which an appliance names its database; none where the database is ours. */
export function variablesOf(database: DatabaseConfig): string[] {
  if (database === 'none' || !('url' in database)) return [];
  const { adminUrl } = { adminUrl: undefined, ...database };
  return [...database.url, ...(adminUrl === undefined ? [] : [adminUrl])];
}
