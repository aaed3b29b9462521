import { dirname, resolve } from 'node:path';
import type { Manifest } from './manifest.ts';
import { embeddedServerGuide } from './restore-guide-server.ts';

/** RESTORE.md: how to get everything back with tar and PostgreSQL's own programs, should Holdfast not be at hand. */
export function restoreGuide(manifest: Omit<Manifest, 'parts'>): string {
  const name = manifest.database?.name ?? '';
  const roots = manifest.roots
    .filter((root) => root.present)
    .map(
      (root) =>
        `    mkdir -p NEW/${root.name}\n    tar --extract --file=${root.archive} --zstd --preserve-permissions --acls --xattrs --xattrs-include='*' \\\n        --numeric-owner --directory NEW/${root.name}     # was ${root.path}`,
    )
    .join('\n');
  const database = manifest.database
    ? `## Database

It was \`${name}\`, owned by \`${manifest.database.owner}\`, on PostgreSQL ${manifest.database.serverVersion}.

${describeServer(manifest)}Restore into a new database, look at it, then swap names:

    createdb --template=template0 --encoding=${manifest.database.encoding} --lc-collate=${manifest.database.collate} \\
        --lc-ctype=${manifest.database.ctype} --owner=${manifest.database.owner} ${name}_restored
    pg_restore --exit-on-error --dbname=${name}_restored database.dump
    psql -d postgres -v ON_ERROR_STOP=1 -c 'BEGIN' \\
        -c 'ALTER DATABASE "${name}" RENAME TO "${name}_old"' -c 'ALTER DATABASE "${name}_restored" RENAME TO "${name}"' -c 'COMMIT'

Grants, settings, comment and connection limit of the database are in manifest.json under "database".
`
    : '';
  return `# Snapshot ${manifest.id}

Made ${manifest.createdAt} of ${manifest.label} (commit ${manifest.commit}) by Holdfast ${manifest.holdfast}.

The usual way back is \`./run.sh rollback ${manifest.id}\`. By hand, with the services stopped:

## Is it whole?

    sha256sum --check manifest.sha256

## Files

${roots}

The archive holds every file of the checkout, tracked and untracked, but not .git and not the products
(${manifest.products.map((product) => product.path).join(', ') || 'none'}); those are made by installing and building commit ${manifest.commit}.

${database}`;
}

/** How to connect: to a server of our own we say it, to somebody else's the appliance's environment does. */
function describeServer({ configuration, configurationFile, database }: Omit<Manifest, 'parts'>): string {
  if (configuration.database === 'none') return '';
  if (configuration.database.embedded === true) {
    const state = resolve(dirname(configurationFile), configuration.stateDirectory);
    return embeddedServerGuide(state, database?.serverVersion ?? '');
  }
  const variable = configuration.database.adminUrl ?? configuration.database.url[0];
  return `Where its server is stands in \`${variable}\` of the appliance's environment; give host, port, user and password to every
command below as PGHOST, PGPORT, PGUSER and PGPASSWORD.

`;
}
