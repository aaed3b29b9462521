import { z } from 'zod';
import { identifier, variable } from './units.ts';

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

/** `database`: one of our own, one on somebody's server, a file, or none. */
export const databaseSchema = z.union([embeddedDatabase, externalDatabase, fileDatabase, z.literal('none')]);

export type DatabaseConfig = z.output<typeof databaseSchema>;

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
