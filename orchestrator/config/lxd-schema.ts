import { z } from 'zod';
import { identifier } from './units.ts';

const resource = z
  .string()
  .regex(
    /^[a-zA-Z][a-zA-Z0-9-]{0,59}$/,
    'must be letters, digits and hyphens, at most 60, starting with a letter',
  );
const sizeForm = 'must be a size such as 20GiB';

/** `lxd`: where the containers of an appliance come from and what they are called. It counts with `runtime: lxd` only. */
export const lxdSchema = z.strictObject({
  client: z
    .string()
    .min(1)
    .default('lxc')
    .meta({ description: 'The client program: lxc, incus, or the path of one.' }),
  project: resource.default('default'),
  pool: resource.default('holdfast').meta({
    description:
      'The storage pool. One that is not there is made: btrfs in a file where that works, plain folders otherwise.',
  }),
  poolSize: z
    .string()
    .regex(/^\d+(MiB|GiB|TiB)$/, sizeForm)
    .default('20GiB')
    .meta({ description: 'How big a pool is made.' }),
  network: z
    .string()
    .regex(/^[a-z][a-z0-9-]{0,14}$/, 'must be the name of a bridge: at most 15 characters')
    .optional()
    .meta({ description: 'The bridge; without a word one of the appliance’s own.' }),
  listen: z
    .string()
    .min(1)
    .default('0.0.0.0')
    .meta({ description: 'The address of this machine at which the outside reaches the services.' }),
  image: z.string().min(1).default('images:debian/12').meta({
    description:
      'What containers are made of, as the client names it; where it cannot be had, it is built on this machine.',
  }),
  mirror: z
    .url({ protocol: /^https?$/ })
    .default('http://deb.debian.org/debian')
    .meta({
      description:
        'Where Debian is taken from when the image is built here; its packages come from there, too.',
    }),
  containers: z
    .strictObject({
      postgres: identifier.optional(),
      backend: identifier.optional(),
      frontend: identifier.optional(),
    })
    .prefault({})
    .meta({ description: 'Other names than NAME-postgres, NAME-backend, NAME-frontend.' }),
});

export type LxdConfig = z.output<typeof lxdSchema>;
