import { appendFileSync, existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ensurePrismaCli } from '../fixtures/schema-engine/prisma-project.ts';
import * as broken from '../support/broken-releases.ts';
import { tally } from '../support/fault-tally.ts';
import { Ledger } from '../support/ledger.ts';
import { can } from '../support/needs.ts';
import { dataMigration, engineOf, replaceIn, type Edit } from '../support/releases.ts';

/*
 * Secrets of every kind, and a release that prints all of them in every form it can and fails with one on its lips.
 * None is in anything that was said or written down, nor on a command line while it ran; and whatever the umask,
 * what is written down is its owner's alone.
 */

let ledger: Ledger;
let path: string;
const secrets = new Map<string, string>();
const at = (name: string) => join(ledger.directory, name);

/** Prints what it finds, plain and in other alphabets. */
const blabbing = `
import { readFileSync as read } from 'node:fs';
const found = [...Object.values(process.env), read('.npmrc', 'utf8').trim().split('=').at(-1)];
for (const text of found.filter((text) => text.length > 5)) {
  const base64 = Buffer.from(text).toString('base64');
  console.log([text, encodeURIComponent(text), JSON.stringify(text), base64, Buffer.from(text).toString('base64url')].join(' '));
  console.error('Authorization: Bearer ' + text);
}
`;

const webhook: Edit = (folder) =>
  appendFileSync(
    join(folder, 'appliance.yaml'),
    "notify:\n  - { url: '{env.NOTIFY_URL}', on: [restored, updated, refused], timeout: 1s }\n",
  );

const indiscreet: Edit = (folder) => {
  broken.good(folder);
  appendFileSync(join(folder, 'api/build.js'), blabbing);
  replaceIn(folder, 'appliance.yaml', 'deploy: node migrate.js', 'deploy: holdfast');
  const schema = `datasource db {\n  provider = "${engineOf(folder)}"\n}\n`;
  writeFileSync(join(folder, 'api/prisma/schema.prisma'), schema);
  writeFileSync(
    join(folder, 'api/prisma.config.ts'),
    "export default { schema: 'prisma/schema.prisma', migrations: { path: 'prisma/migrations' }, datasource: { url: process.env.DATABASE_URL } };\n",
  );
  dataMigration(
    folder,
    '004_quotes_the_url',
    'throw new Error(`cannot reach ${process.env.DATABASE_URL} with ${process.env.API_TOKEN} of ${process.env.ODD_SECRET}`);',
  );
};

beforeAll(async () => {
  await ensurePrismaCli();
  const prisma = join(import.meta.dirname, '../../backend/node_modules/.bin');
  path = `${prisma}:${process.env['PATH'] ?? ''}`;
  ledger = await Ledger.install();
  await ledger.sandbox.publish(webhook);
  await ledger.succeed('update');
  const canary = (name: string) => `canary-${name}-${Math.random().toString(36).slice(2)}`;
  for (const name of ['API_TOKEN', 'NPM_TOKEN', 'npmrc', 'shell']) secrets.set(name, canary(name));
  secrets.set('ODD_SECRET', `p@ss/w rd+"${canary('odd')}"`);
  secrets.set('NOTIFY_URL', `http://127.0.0.1:9/hooks/${canary('hook')}`);
  const file = join(ledger.open().state.postgres, 'credentials.json');
  const credentials = can('postgresql') ? (JSON.parse(readFileSync(file, 'utf8')) as object) : {};
  for (const [name, value] of Object.entries(credentials))
    if (name.endsWith('Password')) secrets.set(name, String(value));
  const named = ['API_TOKEN', 'NPM_TOKEN', 'NOTIFY_URL', 'ODD_SECRET'];
  appendFileSync(at('.env'), named.map((name) => `${name}='${secrets.get(name)}'\n`).join(''));
  writeFileSync(at('api/.npmrc'), `//registry.example.org/:_authToken=${secrets.get('npmrc')}\n`, {
    mode: 0o600,
  });
});

afterAll(async () => {
  await ledger?.destroy();
});

/** The real command line under this umask; everything that it said. */
async function say(
  umask: string,
  ...argv: string[]
): Promise<{ text: string; exitCode: number | undefined }> {
  const { program, directory } = ledger;
  const command = [
    program.node,
    join(program.runner, 'main.mjs'),
    '--appliance',
    directory,
    '--yes',
    ...argv,
  ];
  const env = { HOLDFAST_HOME: program.home, PATH: path, DEPLOY_TOKEN: secrets.get('shell') };
  const { all, exitCode } = await execa(
    'sh',
    ['-c', 'umask "$1"; shift; exec "$@"', 'sh', umask, ...command],
    {
      ...{ all: true, reject: false, env, maxBuffer: 100_000_000 },
    },
  );
  return { text: all, exitCode };
}

/** Every form of every secret that is in this text, by name. */
function foundIn(text: string): string[] {
  return [...secrets].flatMap(([name, value]) => {
    const base64 = Buffer.from(value).toString('base64').replace(/=+$/, '');
    const forms = [value, encodeURIComponent(value), JSON.stringify(value).slice(1, -1), base64];
    return forms.some((form) => text.includes(form)) ? [name] : [];
  });
}

/** Every command line on this machine as often as can be had, until stopped. */
function watchProcesses(): () => string[] {
  const seen = new Set<string>();
  let stopped = false;
  const look = () => {
    for (const pid of readdirSync('/proc')) {
      if (!/^\d+$/.test(pid)) continue;
      try {
        seen.add(readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' '));
      } catch {
        // It has ended.
      }
    }
    if (!stopped) setTimeout(look, 3);
  };
  look();
  return () => {
    stopped = true;
    return [...seen];
  };
}

/** Files below a folder, but for what belongs to the tree, to PostgreSQL and to the services themselves. */
function filesBelow(folder: string): string[] {
  const names = readdirSync(folder, { recursive: true, withFileTypes: true });
  return names
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((file) => !/^(postgres|products|logs)\/|\/(code|failed)\//.test(relative(folder, file)));
}

test('nothing of them is said, written down or shown by the list of processes, and all is 0700 or 0600', async (context) => {
  await ledger.sandbox.publish(indiscreet);
  const stop = watchProcesses();
  const runs = [
    await say('000', '--json', 'update'),
    await say('077', '--verbose', 'update'),
    await say('000', 'backup', 'create'),
  ];
  const processes = stop();
  expect(runs.map(({ exitCode }) => exitCode)).toEqual([10, 10, 0]);
  const looks = await Promise.all(
    [
      ['status'],
      ['status', '--history'],
      ['logs'],
      ['logs', ledger.open().state.runIds()[0] ?? ''],
      ['config'],
      ['--json', 'config'],
      ['doctor'],
      ['update', '--dry-run'],
      ['backup', 'list'],
    ].map(async (argv) => await say('022', ...argv)),
  );
  const said = [...runs, ...looks].map(({ text }) => text).join('\n');
  expect(said).toContain('could not notify the webhook of notify');
  expect(foundIn(said)).toEqual([]);

  const programs = [
    ...(can('postgresql') ? ['pg_dump', 'pg_restore', 'psql'] : ['sqlite.mjs']),
    ...['prisma', 'schema-engine', 'npm'],
  ];
  expect(programs.filter((program) => !processes.some((line) => line.includes(program)))).toEqual([]);
  expect(processes.filter((line) => foundIn(line).length > 0)).toEqual([]);

  const { state, backupsDirectory } = ledger.open();
  const written = [state.path, backupsDirectory].flatMap(filesBelow);
  const open = written.filter((file) => (statSync(file).mode & 0o077) !== 0);
  expect(open).toEqual([]);
  expect(statSync(state.path).mode & 0o777).toBe(0o700);
  expect(statSync(backupsDirectory).mode & 0o777).toBe(0o700);
  for (const file of [state.recoverScript, join(state.run(state.runIds()[0] ?? ''), 'configuration.json')])
    expect(existsSync(file)).toBe(true);

  const logs = written.filter((file) => file.endsWith('run.log')).map((file) => readFileSync(file, 'utf8'));
  // It did print them: there are as many masks.
  expect(logs.join('').split('Authorization: Bearer ***').length).toBeGreaterThan(10);
  const leaks = written.filter((file) => {
    // The archive and the dump hold the appliance itself.
    return !/\.tar\.zst$|\.dump$|credentials/.test(file) && foundIn(readFileSync(file, 'latin1')).length > 0;
  });
  expect(leaks).toEqual([]);
  tally(context, 'restored', 2);
});
