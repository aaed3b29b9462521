import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { waitFor } from '../../orchestrator/lib/wait.ts';
import { Ledger } from '../support/ledger.ts';
import { lxc, lxdEnvironment } from '../support/lxd-host.ts';
import { release } from '../support/releases.ts';
import { isThorough } from '../support/thoroughness.ts';

/* What an operator types for containers, and what goes wrong with them while no update is under way. */

const why = inject('whyNoLxd');
let ledger: Ledger;

/** The container of a place. */
const container = (place: string) => `${ledger.open().config.name}-${place}`;

/** A command as it is typed, and what it printed. */
async function typed(
  argv: readonly string[],
  options: { input?: string; env?: Record<string, string> } = {},
) {
  const { words, env } = ledger.atTerminal(...argv);
  const [file = '', ...args] = words;
  const end = await execa(file, args, {
    ...{ env: { ...env, ...options.env }, reject: false },
    ...(options.input === undefined ? { stdin: 'ignore' as const } : { input: options.input }),
  });
  return { code: end.exitCode, out: end.stdout, err: end.stderr };
}

describe.skipIf(why !== '' || !isThorough)(`operating containers${why === '' ? '' : ` (${why})`}`, () => {
  beforeAll(async () => {
    Object.assign(process.env, lxdEnvironment);
    ledger = await Ledger.install({ lxd: true });
    await ledger.sandbox.publish(release(2), { tag: 'v2' });
  });

  afterAll(async () => {
    await ledger?.destroy();
  });

  test('exec passes input, output and exit code, by a service’s name as by a container’s', async () => {
    const script = ['sh', '-c', 'cat; pwd; echo to-err >&2; exit 7'];
    const end = await typed(['exec', 'web', '--', ...script], { input: 'from here\n' });
    expect(end).toEqual({ code: 7, out: `from here\n${ledger.directory}/web`, err: 'to-err' });
    expect(await typed(['exec', 'postgres', '--', 'hostname'])).toMatchObject({ out: container('postgres') });
    expect(await typed(['shell', 'api'], { input: 'hostname\n' })).toMatchObject({
      ...{ code: 0, out: container('backend') },
    });
    expect(await typed(['exec', 'nothing', '--', 'true'])).toMatchObject({ code: 2 });
  });

  test('logs shows what a service and the database have printed', async () => {
    expect((await typed(['logs', 'api'])).out).toContain('starting v1');
    expect((await typed(['logs', 'postgres'])).out).toContain('ready to accept connections');
    expect((await typed(['logs', 'postgres', '--grep', 'no such line'])).out).toBe('');
    expect(await typed(['logs', 'nothing'])).toMatchObject({ code: 2 });
  });

  test('a service can write its data though root set it up, and is started again when it is killed', async () => {
    const [write, kill] = ['touch data/uploads/by-service', 'systemctl kill --signal=KILL holdfast-api'];
    const asService = ['exec', 'backend', '--', 'su', 'app1000', '-c', write];
    expect(await typed(asService)).toMatchObject({ code: 0 });
    rmSync(join(ledger.directory, 'data/uploads/by-service'));
    const { api } = await ledger.pids();
    await typed(['exec', 'backend', '--', 'sh', '-c', kill]);
    const back = await waitFor(
      async () => {
        const now = (await ledger.pids())['api'] ?? 0;
        return now === 0 || now === api ? undefined : await ledger.notes().catch(() => undefined);
      },
      { timeoutMs: 20_000, everyMs: 200 },
    );
    expect(back).toHaveLength(4);
  });

  test.each([
    ['stopped', async (name: string) => await lxc('stop', '--force', name), 'is stopped'],
    ['frozen', async (name: string) => await lxc('pause', name), 'is frozen'],
    [
      'without its network',
      async (name: string) => await lxc('config', 'device', 'remove', name, 'eth0'),
      'has not the address',
    ],
  ])(
    'a container is %s: told, refused, left so, and put right by what is said',
    async (_what, spoil, says) => {
      await spoil(container('frontend'));
      const before = await lxc('list', '--format=csv', '--columns=ns');
      const refused = await ledger.run('update');
      expect(refused).toMatchObject({ exitCode: 3, error: expect.stringContaining(says) as string });
      expect((await typed(['doctor'])).out).toContain(says);
      expect(await lxc('list', '--format=csv', '--columns=ns')).toBe(before);
      const command = /run\.sh (start|setup)/.exec(refused.next ?? '')?.[1] ?? '';
      await ledger.succeed(command);
      await ledger.succeed('status');
      expect((await ledger.run('status')).result).toMatchObject({ containers: { ok: true } });
      expect(await ledger.notes()).toHaveLength(4);
    },
  );

  test('the bridge is gone: told, and made anew by start', async () => {
    const bridge = `hf-${ledger.open().config.name}`;
    await execa('ip', ['link', 'delete', bridge]);
    expect((await ledger.run('status')).result).toMatchObject({ containers: { ok: false } });
    expect(await ledger.run('update')).toMatchObject({ exitCode: 3 });
    await ledger.succeed('start');
    expect(await ledger.notes()).toHaveLength(4);
  });

  test('the daemon is away: each command says so in a sentence', async () => {
    const env = { LXD_DIR: join(ledger.sandbox.root, 'no daemon') };
    for (const argv of [['update'], ['start'], ['exec', 'api', '--', 'true'], ['redo', 'api'], ['destroy']]) {
      const { code, err } = await typed(argv, { env });
      expect([code, err]).toEqual([
        3,
        expect.stringMatching(/the daemon of LXD does not answer\n.*sudo systemctl start lxd/),
      ]);
      expect(err).not.toContain('    at ');
    }
    expect((await typed(['status'], { env })).out).toMatch(/containers +the daemon of LXD does not answer/);
  });

  test('a client of another name is used everywhere', async () => {
    const bin = join(ledger.sandbox.root, 'bin');
    await execa('mkdir', ['-p', bin]);
    const { stdout: client } = await execa('which', ['lxc']);
    await execa('ln', ['-sf', client, join(bin, 'incus')]);
    await execa('ln', ['-sf', '/bin/false', join(bin, 'lxc')]);
    const file = join(ledger.directory, 'appliance.yaml');
    const text = readFileSync(file, 'utf8');
    writeFileSync(file, text.replace('lxd: {', 'lxd: { client: incus,'));
    try {
      const env = { PATH: `${bin}:${process.env['PATH'] ?? ''}` };
      for (const argv of [['setup'], ['restart'], ['logs', 'postgres'], ['exec', 'api', '--', 'true']])
        expect([argv, await typed(argv, { env })]).toMatchObject([argv, { code: 0 }]);
    } finally {
      writeFileSync(file, text);
    }
  });

  test('redo makes a container anew: rows and files are as they were, and what ran runs', async () => {
    const notes = await ledger.notes();
    for (const name of ['postgres', 'api']) {
      await ledger.succeed('redo', name);
      expect(await ledger.notes()).toEqual(notes);
    }
    const { api = 0, web = 0 } = await ledger.pids();
    expect([api > 0, web > 0]).toEqual([true, true]);
  });

  test('destroy leaves nothing but the backups, which come back into a new one', async () => {
    const notes = await ledger.notes();
    await ledger.succeed('update');
    await ledger.succeed('backup', 'create', '--name', 'kept');
    const { name } = ledger.open().config;
    expect(await ledger.run('destroy')).toMatchObject({ exitCode: 3 });
    const { words, env } = ledger.atTerminal('destroy');
    const command = words.map((word) => `'${word}'`).join(' ');
    const asked = await execa('script', ['-qec', command, '/dev/null'], {
      env,
      input: `${name}\n`,
      reject: false,
    });
    expect(asked.stdout).toContain('Gone.');
    for (const kind of [['list'], ['network', 'list'], ['storage', 'volume', 'list', 'hf-test']])
      expect(await lxc(...kind, '--format=csv')).not.toContain(name);
    expect((await typed(['destroy'])).out).toContain('Nothing of');
    await ledger.succeed('setup');
    expect(await ledger.notes()).toEqual([]);
    // Roles are the server's, and no part of a backup.
    await ledger.sql('create role auditor');
    await ledger.succeed('rollback', 'kept', '--rebuild');
    expect(await ledger.notes()).toEqual(notes);
  });
});
