import { z } from 'zod';
import type { Config } from '../config/schema.ts';
import type { DatabaseFacts } from '../database/database-facts.ts';

/** The version of the snapshot format that this code writes, and the newest that it reads. */
export const snapshotFormat = 1;

export const snapshotKinds = ['update', 'manual', 'scheduled', 'before-rollback'] as const;
export type SnapshotKind = (typeof snapshotKinds)[number];

/** What lies beside the parts of a snapshot and vouches for them. */
export const manifestFile = 'manifest.json';
export const checksumFile = 'manifest.sha256';

/*
 * A manifest may come from another machine, in an archive that somebody sent. So every name in it that becomes a path
 * here has a form that leads nowhere else.
 */

const id = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9-]{0,63}$/);
const fileName = z.string().regex(/^[a-zA-Z0-9_-][a-zA-Z0-9._-]{0,99}$/);
const storeKey = z.string().regex(/^[a-zA-Z0-9_-]{1,255}$/);
const storeVolume = z.string().regex(/^[a-zA-Z0-9][a-zA-Z0-9._-]{0,200}$/);
const commit = z.string().regex(/^[0-9A-Za-z]+$/);
const ref = z.string().regex(/^refs\/[^\p{Cc}\s]+$/u);
/** It is printed on terminals. */
const line = z.string().regex(/^[^\p{Cc}]*$/u);
const pathInside = z
  .string()
  .refine((path) => path !== '' && !path.startsWith('/') && !path.split('/').includes('..'));

const part = z.strictObject({
  name: fileName,
  sizeBytes: z.int().min(0),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
});

const parts = z
  .array(part)
  .max(1000)
  .refine((all) => {
    const names = [manifestFile, checksumFile, ...all.map(({ name }) => name.toLowerCase())];
    return new Set(names).size === names.length;
  });

/** A tree that the snapshot holds: the checkout, or a data path outside it. */
const root = z.strictObject({
  name: fileName,
  path: z.string(),
  exclude: z.array(z.string()),
  patterns: z.array(z.string()),
  present: z.boolean(),
  archive: fileName,
  inventory: fileName,
  entries: z.int().min(0),
});

/** A product (node_modules, dist): where it lives, and under which key it is or will be in the store. */
const product = z.strictObject({
  path: pathInside,
  present: z.boolean(),
  key: storeKey,
  digest: z.string(),
});

export const manifestSchema = z.strictObject({
  format: z.literal(snapshotFormat),
  id,
  kind: z.enum(snapshotKinds),
  name: line.optional(),
  sequence: z.int(),
  createdAt: line,
  run: id,
  online: z.boolean(),
  holdfast: line,
  commit,
  ref: ref.optional(),
  label: line,
  configurationFile: z.string(),
  configuration: z.custom<Config>((value) => typeof value === 'object' && value !== null),
  node: z.string(),
  roots: z.array(root),
  products: z.array(product),
  database: z.custom<DatabaseFacts>((value) => typeof value === 'object' && value !== null).optional(),
  /** A copy of the database's volume, from which it is restored as long as that is there. */
  volume: storeVolume.optional(),
  registry: z.strictObject({ path: pathInside, present: z.boolean() }).optional(),
  notRestored: z.array(line),
  parts,
});

export type Manifest = z.output<typeof manifestSchema>;
export type SnapshotPart = Manifest['parts'][number];
export type SnapshotRoot = Manifest['roots'][number];
export type SnapshotProduct = Manifest['products'][number];

/** False for a snapshot that was made without its database, which could not be read: it is no way back by itself. */
export function holdsDatabase(manifest: Manifest): boolean {
  return manifest.database === undefined || manifest.volume !== undefined || holdsDump(manifest);
}

/** False as well for one whose database is only a copy of a volume yet: it brings nothing back on another machine. */
export function holdsDump({ parts: all }: Pick<Manifest, 'parts'>): boolean {
  return all.some(({ name }) => name === databaseDump);
}

/** The part with the database in it. */
export const databaseDump = 'database.dump';

declare const verified: unique symbol;

/** A manifest whose parts were all read and found to be what it says. `restore` takes no other. */
export type VerifiedManifest = Manifest & { readonly [verified]: true };
