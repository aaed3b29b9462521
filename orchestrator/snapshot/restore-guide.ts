import { dirname, resolve } from 'node:path';
import { kindOfDatabase } from '../config/database-schema.ts';
import type { PostgresFacts, SqliteFacts } from '../database/database-facts.ts';
import { shellWord } from '../lib/shell-word.ts';
import { layoutOf } from '../runtime/lxd/layout.ts';
import type { Manifest } from './manifest.ts';
import { containerServerGuide, embeddedServerGuide } from './restore-guide-server.ts';

/** RESTORE.md: how to get everything back with tar and PostgreSQL's own programs, should Holdfast not be at hand. */
export function restoreGuide(manifest: Omit<Manifest, 'parts'>): string {
  const roots = manifest.roots
    .filter((root) => root.present)
    .map(
      (root) =>
        `    mkdir -p NEW/${root.name}\n    tar --extract --file=${root.archive} --zstd --preserve-permissions --acls --xattrs --xattrs-include='*' \\\n        --numeric-owner --directory NEW/${root.name}     # was ${root.path}`,
    )
    .join('\n');
  const database = describeDatabase(manifest);
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

function describeDatabase(manifest: Omit<Manifest, 'parts'>): string {
  const { database } = manifest;
  if (!database) return '';
  return database.engine === 'sqlite' ? sqliteGuide(database) : postgresGuide(manifest, database);
}

function postgresGuide(manifest: Omit<Manifest, 'parts'>, facts: PostgresFacts): string {
  const { name } = facts;
  return `## Database

It was \`${name}\`, owned by \`${facts.owner}\`, on PostgreSQL ${facts.serverVersion}.

${describeServer(manifest, facts)}${describeVolume(manifest)}Restore into a new database, look at it, then swap names:

    createdb --template=template0 --encoding=${facts.encoding} --lc-collate=${facts.collate} \\
        --lc-ctype=${facts.ctype} --owner=${facts.owner} ${name}_restored
    pg_restore --exit-on-error --dbname=${name}_restored database.dump
    psql -d postgres -v ON_ERROR_STOP=1 -c 'BEGIN' \\
        -c 'ALTER DATABASE "${name}" RENAME TO "${name}_old"' -c 'ALTER DATABASE "${name}_restored" RENAME TO "${name}"' -c 'COMMIT'

Grants, settings, comment and connection limit of the database are in manifest.json under "database".
`;
}

/** A dump comes later where the database was copied with its volume. */
function describeVolume({ volume, configuration }: Omit<Manifest, 'parts'>): string {
  if (volume === undefined) return '';
  const { client, pool } = configuration.lxd;
  const container = layoutOf(configuration.name, configuration.lxd).containers.postgres;
  return `\`database.dump\` is made from the volume \`${volume}\` of the storage pool \`${pool}\` once the appliance serves again. Where
it is not here yet, that volume is the whole database as it was, as a cluster of PostgreSQL in \`holdfast/\`: \`${client} storage
volume copy ${pool}/${volume} ${pool}/NEW\`, then, with the server stopped, \`${client} config device set ${container} data
source=NEW\`, and start it.

`;
}

/** Its log goes first: beside another file of that name SQLite would write it into that one. */
function sqliteGuide({ file, mode, uid, gid, sqliteVersion }: SqliteFacts): string {
  const live = shellWord(file);
  return `## Database

It was the file \`${file}\`, of SQLite ${sqliteVersion}. \`database.dump\` is that file itself, page by page. Look at it, then put it
in its place; nobody may have the former one open (\`sudo fuser -v ${live}\` shows who has):

    sqlite3 -readonly 'file:database.dump?immutable=1' 'pragma integrity_check; pragma foreign_key_check;'
    cp database.dump ${live}.restored
    chown ${uid}:${gid} ${live}.restored && chmod ${mode.toString(8)} ${live}.restored
    mkdir ${live}.old
    for one in ${live} ${live}-wal ${live}-journal ${live}-shm; do [ ! -e "$one" ] || mv -- "$one" ${live}.old/; done
    sync && mv -T -- ${live}.restored ${live} && sync

The log (\`-wal\`) and the journal of the former file must be gone before the new one takes its name: SQLite would write them
into it.
`;
}

/** How to connect: to a server of our own we say it, to somebody else's the appliance's environment does. */
function describeServer(
  { configuration, configurationFile }: Omit<Manifest, 'parts'>,
  { serverVersion }: PostgresFacts,
): string {
  if (kindOfDatabase(configuration.database) === 'embedded') {
    const state = resolve(dirname(configurationFile), configuration.stateDirectory);
    const { lxd, name, runtime } = configuration;
    return runtime === 'lxd'
      ? containerServerGuide(state, {
          client: lxd.client,
          container: layoutOf(name, lxd).containers.postgres,
        })
      : embeddedServerGuide(state, serverVersion);
  }
  const { database } = configuration;
  if (database === 'none' || !('url' in database)) return '';
  const variable = ('adminUrl' in database ? database.adminUrl : undefined) ?? database.url[0];
  return `Where its server is stands in \`${variable}\` of the appliance's environment; give host, port, user and password to every
command below as PGHOST, PGPORT, PGUSER and PGPASSWORD.

`;
}
