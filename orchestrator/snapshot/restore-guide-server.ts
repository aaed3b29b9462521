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
  const socket = join(folder, 'cluster', 'socket');
  const bin = findServerBinaries(Number.parseInt(version, 10));
  const user = serverUser()?.name;
  const credentials = shellWord(join(folder, 'credentials.json'));
  const read = (key: string) => `$(grep -oP '"${key}":"?\\K[^",}]+' ${credentials})`;
  const host = isShortEnough(socket)
    ? `export PGHOST=${shellWord(socket)}`
    : `folder=$(mktemp -d); ln -s ${shellWord(socket)} "$folder/socket"; export PGHOST=$folder/socket`;
  const asUser =
    user === undefined ? '' : `setpriv --reuid=${user} --regid=${user} --clear-groups -- \\\n        `;
  return `The server is the embedded one. Port and passwords of its administrator \`${administrator}\` and of the appliance's
role \`app\` are in ${join(folder, 'credentials.json')}. For every command below:

    ${bin === undefined ? '# put the programs of PostgreSQL on PATH' : `export PATH=${shellWord(bin)}:$PATH`}
    ${host}
    export PGPORT=${read('port')} PGUSER=${administrator} PGPASSWORD=${read('adminPassword')}

\`pg_isready\` says whether it runs. \`./run.sh start\` starts it with the services; this starts it alone, in the foreground${user === undefined ? '' : ', as root'}
(Ctrl-C ends it):

    ${asUser}${bin === undefined ? 'postgres' : shellWord(join(bin, 'postgres'))} -D /proc/self/fd/9/data -p "$PGPORT" -c listen_addresses=127.0.0.1 \\
        -c unix_socket_directories=../socket 9<${shellWord(join(folder, 'cluster'))}

`;
}
