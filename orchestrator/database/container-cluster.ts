import { administrator, type Access } from './cluster.ts';

/* The cluster of an appliance in containers, as its container sees it. */

/** Where the volume lies, and the cluster on it. */
export const home = '/var/lib/postgresql';
export const cluster = `${home}/holdfast`;
export const unit = 'holdfast-postgres.service';
export const port = 5432;

/** What `starter` exits with where there is no cluster, and should be one. */
export const exitWithoutCluster = 64;

/** Makes the cluster if there is to be none yet ($5), and has the server run: $1 programs, $2 cluster, $3 unit, $4 access file. */
export const starter = `set -eu
install -d -o postgres -g postgres -m 0700 ${home}
rm -rf "$2.new"
if [ ! -e "$2/PG_VERSION" ]; then
  [ "$5" = new ] || exit ${exitWithoutCluster}
  runuser -u postgres -- "$1/initdb" --pgdata="$2.new" --auth=scram-sha-256 --auth-local=peer --encoding=UTF8 --locale=C.UTF-8 --no-instructions >/dev/null
  printf '%s' "$4" >"$2.new/pg_hba.conf"
  mv "$2.new" "$2"
fi
cat >"/etc/systemd/system/$3.new"
if ! cmp -s "/etc/systemd/system/$3.new" "/etc/systemd/system/$3"; then
  mv "/etc/systemd/system/$3.new" "/etc/systemd/system/$3"
  systemctl daemon-reload
fi
systemctl enable --quiet "$3"
systemctl reset-failed "$3" 2>/dev/null || :
systemctl start "$3"`;

export const unitText = (bin: string, socketFolder: string) => `[Unit]
Description=Holdfast: PostgreSQL
[Service]
User=postgres
ExecStart=${bin}/postgres -D ${cluster} -c listen_addresses=* -c port=${port} -c "unix_socket_directories=${socketFolder.replaceAll('%', '%%')}" -c unix_socket_permissions=0777 -c log_timezone=UTC
KillMode=mixed
KillSignal=SIGINT
TimeoutStopSec=60
Restart=on-failure
[Install]
WantedBy=multi-user.target
`;

export function accessText(access: Access): string {
  const rule = access === 'open' ? 'scram-sha-256' : 'reject';
  return `${[
    '# Written by Holdfast; changes are lost.',
    'local all postgres peer',
    `local all ${administrator} scram-sha-256`,
    `local all all ${access === 'secluded' ? 'reject' : 'scram-sha-256'}`,
    `host all all all ${rule}`,
  ].join('\n')}\n`;
}

/** As endNewcomers in newcomers.ts: those who stand in the door. $1 cluster. */
export const endNewcomers = `set -eu
read -r postmaster <"$1/postmaster.pid"
door='^(/.*/postgres |postgres: .*([)]|[[]local[]]) (initializing|authentication|startup)$)'
end=$(($(date +%s) + 10))
pkill -TERM -P "$postmaster" -f "$door" || exit 0
while pgrep -P "$postmaster" -f "$door" >/dev/null; do
  [ "$(date +%s)" -lt "$end" ] || { echo 'a connection that was just being made does not end' >&2; exit 1; }
  sleep 0.02
done`;
