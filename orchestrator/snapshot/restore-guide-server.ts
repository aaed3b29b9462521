import { join } from 'node:path';
import { findServerBinaries, serverUser } from '../database/binaries.ts';
import { administrator } from '../database/cluster.ts';
import { isShortEnough } from '../database/socket-folder.ts';
import { shellWord } from '../lib/shell-word.ts';

/**
 * How to reach the embedded server by hand, and how to start it where it does not run, as lines for a shell. Passwords
 * are named by the file that they stand in.
 *
 * @param stateDirectory of the appliance
 * @param version of the server that the snapshot was made on
 */
export function embeddedServerGuide(stateDirectory: string, version: string): string {
  const folder = join(stateDirectory, 'postgres');
  const bin = findServerBinaries(Number.parseInt(version, 10));
  const user = serverUser()?.name;
  const asUser =
    user === undefined ? '' : `setpriv --reuid=${user} --regid=${user} --clear-groups -- \\\n        `;
  return `The server is the embedded one. Port and passwords of its administrator \`${administrator}\` and of the appliance's
role \`app\` are in ${join(folder, 'credentials.json')}. For every command below:

    ${bin === undefined ? '# put the programs of PostgreSQL on PATH' : `export PATH=${shellWord(bin)}:$PATH`}
${connection(folder, join(folder, 'cluster', 'socket'))}

\`pg_isready\` says whether it runs. \`./run.sh start\` starts it with the services; this starts it alone, in the foreground${user === undefined ? '' : ', as root'}
(Ctrl-C ends it):

    ${asUser}${bin === undefined ? 'postgres' : shellWord(join(bin, 'postgres'))} -D /proc/self/fd/9/data -p "$PGPORT" -c listen_addresses=127.0.0.1 \\
        -c unix_socket_directories=../socket 9<${shellWord(join(folder, 'cluster'))}

`;
}

/**
 * The same for the server of an appliance in containers, whose socket this machine shares.
 *
 * @param container of the database, with the client that reaches it, such as `lxc`
 */
export function containerServerGuide(
  stateDirectory: string,
  { client, container }: { readonly client: string; readonly container: string },
): string {
  const folder = join(stateDirectory, 'postgres');
  return `The server is in the container \`${container}\`. Port and passwords of its administrator \`${administrator}\` and of the
appliance's role \`app\` are in ${join(folder, 'credentials.json')}. For every command below, on this machine with
the programs of PostgreSQL on PATH:

${connection(folder, join(folder, 'socket'))}

\`pg_isready\` says whether it runs. \`./run.sh start\` starts it with the services; this starts it alone:

    ${client} start ${container}; ${client} exec ${container} -- systemctl start holdfast-postgres

`;
}

/** Lines that lead every program of PostgreSQL to the server, as its administrator. */
function connection(folder: string, socket: string): string {
  const credentials = shellWord(join(folder, 'credentials.json'));
  const read = (key: string) => `$(grep -oP '"${key}":"?\\K[^",}]+' ${credentials})`;
  const host = isShortEnough(socket)
    ? `export PGHOST=${shellWord(socket)}`
    : `folder=$(mktemp -d); ln -s ${shellWord(socket)} "$folder/socket"; export PGHOST=$folder/socket`;
  return `    ${host}
    export PGPORT=${read('port')} PGUSER=${administrator} PGPASSWORD=${read('adminPassword')}`;
}
