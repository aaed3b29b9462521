import { expect, test } from 'vitest';
import type { DatabaseFacts } from '../../../orchestrator/database/database-facts.ts';
import { restoreGuide } from '../../../orchestrator/snapshot/restore-guide.ts';
import { configOf } from '../support/an-appliance.ts';
import { manifestWith } from '../support/a-manifest.ts';

const database = {
  ...{ name: 'shop', owner: 'app', serverVersion: '15.18', encoding: 'UTF8', collate: 'C', ctype: 'C' },
} as DatabaseFacts;

test('an embedded server: where it is, who may enter, and how it is started by hand', () => {
  const configuration = configOf({ database: { embedded: true }, stateDirectory: '/srv/my state' });
  const guide = restoreGuide(manifestWith({ configuration, database }));
  for (const part of [
    "PGHOST='/srv/my state/postgres/cluster/socket'",
    'PGUSER=holdfast',
    "'/srv/my state/postgres/credentials.json'",
    'pg_isready',
    '-D /proc/self/fd/9/data -p "$PGPORT"',
    "9<'/srv/my state/postgres/cluster'",
    'pg_restore --exit-on-error --dbname=shop_restored database.dump',
  ])
    expect(guide).toContain(part);
});

test('a server in a container: by the socket that this machine shares, and started by its client', () => {
  const configuration = configOf({
    ...{ runtime: 'lxd', lxd: { client: 'incus' } },
    ...{ database: { embedded: true }, stateDirectory: '/srv/my state' },
  });
  const guide = restoreGuide(manifestWith({ configuration, database, volume: 'shop-postgres.backup-1' }));
  for (const part of [
    "PGHOST='/srv/my state/postgres/socket'",
    "'/srv/my state/postgres/credentials.json'",
    'incus exec shop-postgres -- systemctl start holdfast-postgres',
    'incus config device set shop-postgres data',
  ])
    expect(guide).toContain(part);
  expect(guide).not.toContain('postgres/cluster');
});

test('a socket whose path is too long for the kernel is reached by a link', () => {
  const configuration = configOf({ database: { embedded: true }, stateDirectory: `/srv/${'x'.repeat(80)}` });
  expect(restoreGuide(manifestWith({ configuration, database }))).toContain('export PGHOST=$folder/socket');
});

test('a server of somebody else is named by the variable that says where it is', () => {
  const configuration = configOf({ database: { url: 'DATABASE_URL', adminUrl: 'ADMIN_URL' } });
  const guide = restoreGuide(manifestWith({ configuration, database }));
  expect(guide).toContain('stands in `ADMIN_URL`');
  expect(guide).not.toContain('credentials.json');
});
