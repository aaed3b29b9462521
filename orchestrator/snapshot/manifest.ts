import { z } from 'zod';
import type { Config } from '../config/schema.ts';
import type { DatabaseFacts } from '../database/engine.ts';

/** The version of the snapshot format that this code writes, and the newest that it reads. */
export const snapshotFormat = 1;

export const snapshotKinds = ['update', 'manual', 'scheduled', 'before-rollback'] as const;
export type SnapshotKind = (typeof snapshotKinds)[number];

const part = z.strictObject({
  name: z.string().regex(/^[a-zA-Z0-9._-]+$/),
  sizeBytes: z.int().min(0),
  sha256: z.string().length(64),
});

/** A tree that the snapshot holds: the checkout, or a data path outside it. */
const root = z.strictObject({
  name: z.string(),
  path: z.string(),
  exclude: z.array(z.string()),
  patterns: z.array(z.string()),
  present: z.boolean(),
  archive: z.string(),
  inventory: z.string(),
  entries: z.int().min(0),
});

/** A product (node_modules, dist): where it lives, and under which key it is or will be in the store. */
const product = z.strictObject({
  path: z.string(),
  present: z.boolean(),
  key: z.string(),
  digest: z.string(),
});

export const manifestSchema = z.strictObject({
  format: z.literal(snapshotFormat),
  id: z.string(),
  kind: z.enum(snapshotKinds),
  name: z.string().optional(),
  sequence: z.int(),
  createdAt: z.string(),
  run: z.string(),
  online: z.boolean(),
  holdfast: z.string(),
  commit: z.string(),
  ref: z.string().optional(),
  label: z.string(),
  configurationFile: z.string(),
  configuration: z.custom<Config>((value) => typeof value === 'object' && value !== null),
  node: z.string(),
  roots: z.array(root),
  products: z.array(product),
  database: z.custom<DatabaseFacts>((value) => typeof value === 'object' && value !== null).optional(),
  registry: z.strictObject({ path: z.string(), present: z.boolean() }).optional(),
  notRestored: z.array(z.string()),
  parts: z.array(part),
});

export type Manifest = z.output<typeof manifestSchema>;
export type SnapshotPart = Manifest['parts'][number];
export type SnapshotRoot = Manifest['roots'][number];
export type SnapshotProduct = Manifest['products'][number];

declare const verified: unique symbol;

/** A manifest whose parts were all read and found to be what it says. `restore` takes no other. */
export type VerifiedManifest = Manifest & { readonly [verified]: true };
