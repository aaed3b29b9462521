import { describe, expect, test } from 'vitest';
import { libpqEnvironment } from '../../../orchestrator/database/connection.ts';
import type { Command } from '../../../orchestrator/runtime/runtime.ts';
import * as git from '../../../orchestrator/tools/git.ts';
import { npmCi } from '../../../orchestrator/tools/npm.ts';
import { parseMajorVersion, pgDump, pgRestore, psql } from '../../../orchestrator/tools/postgres.ts';
import { createArchive, extractArchive } from '../../../orchestrator/tools/tar.ts';

const password = 'correct horse';
const target = {
  bin: '/usr/lib/postgresql/17/bin',
  env: libpqEnvironment(
    { host: 'db', port: 5432, user: 'app', password, database: 'shop', parameters: {} },
    'holdfast',
  ),
};

/** Every builder, called with something. */
const commands: Record<string, Command> = {
  psql: psql(target, `alter role app password '${password}'`),
  pgDump: pgDump(target, '/s/database.dump'),
  pgRestore: pgRestore(target, '/s/database.dump'),
  npmCi: npmCi('/box/api'),
  createArchive: createArchive({ archive: '/s/files.tar.zst', root: '/box', entries: Buffer.from('a\0') }),
  extractArchive: extractArchive({ archive: '/s/files.tar.zst', into: '/box', entries: Buffer.from('a\0') }),
  fetchAll: git.fetchAll('/box', 'origin'),
  diffTree: git.diffTree('/box', 'a', 'b'),
  updateRef: git.updateRef('/box', { ref: 'HEAD', to: 'b', from: 'a', reason: 'holdfast: update' }),
};

describe.each(Object.entries(commands))('%s is data', (_name, command) => {
  test('a program and its arguments, no shell', () => {
    expect(['psql', 'pg_dump', 'pg_restore', 'npm', 'tar', 'git']).toContain(command.file.split('/').at(-1));
    expect(command.args.every((arg) => typeof arg === 'string')).toBe(true);
    expect(command.label).toBeTruthy();
  });

  test('without a secret where the list of processes shows it', () => {
    expect([command.file, ...command.args].join(' ')).not.toContain(password);
    expect(command.label).not.toContain(password);
  });
});

describe('PostgreSQL', () => {
  test('psql stops at the first error, reads no startup file, and gets its SQL by standard input', () => {
    const { args, input, timeoutMs, addEnv } = psql(target, 'select 1', { single: true, timeoutMs: 5 });
    expect(args).toEqual([
      '-X',
      '-q',
      '-A',
      '-t',
      '-v',
      'ON_ERROR_STOP=1',
      '--single-transaction',
      '-f',
      '-',
    ]);
    expect(input).toContain('select 1');
    expect([timeoutMs, addEnv]).toEqual([5, target.env]);
  });

  test('a dump has no time limit but waits for no lock for ever', () => {
    const { args, timeoutMs } = pgDump(target, '/s/x.dump', { schemaOnly: true });
    expect(args).toContain('--schema-only');
    expect(args).toContain('--lock-wait-timeout=30000');
    expect(args).toContain('--file=/s/x.dump');
    expect(timeoutMs).toBeUndefined();
  });

  test('a restore stops at the first error instead of going on with half of it', () => {
    expect(pgRestore(target, '/s/x.dump', { jobs: 4 }).args).toEqual([
      '--exit-on-error',
      '--no-password',
      '--dbname=shop',
      '--jobs=4',
      '/s/x.dump',
    ]);
  });

  test.each([
    ['pg_dump (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n', 15],
    ['psql (PostgreSQL) 17beta1', 17],
    ['postgres (PostgreSQL) 18.0', 18],
  ])('the version of %s is %d', (text, major) => {
    expect(parseMajorVersion(text)).toBe(major);
  });

  test('a version that cannot be read is an error', () => {
    expect(() => parseMajorVersion('bash: pg_dump: command not found\n')).toThrow(
      'cannot read a PostgreSQL version from "bash: pg_dump: command not found"',
    );
  });
});

describe('git', () => {
  test('runs no hooks, asks nothing, and looks without writing the index', () => {
    for (const command of [
      git.fetchAll('/box', 'origin'),
      git.revParse('/box', 'main'),
      git.statusOfTracked('/box'),
    ]) {
      expect(command.args.slice(0, 2)).toEqual(['-c', 'core.hooksPath=/dev/null']);
      expect(command.addEnv).toMatchObject({ GIT_TERMINAL_PROMPT: '0', GIT_OPTIONAL_LOCKS: '0' });
      expect(command.cwd).toBe('/box');
    }
  });

  test('fetches into refs of its own: branches, tags and FETCH_HEAD stay as they are', () => {
    const { args } = git.fetchAll('/box', 'origin');
    expect(args).toContain('--no-write-fetch-head');
    expect(args).toContain('--no-tags');
    expect(
      args.filter((arg) => arg.startsWith('+')).every((arg) => arg.includes(':refs/holdfast/remote/')),
    ).toBe(true);
  });

  test('a revision is never read as an option', () => {
    expect(git.revParse('/box', '--all').args.slice(-2)).toEqual(['--end-of-options', '--all']);
  });

  test('a ref is moved only from where it is known to stand', () => {
    expect(git.updateRef('/box', { ref: 'HEAD', to: 'b', from: 'a', reason: 'r' }).args.slice(-3)).toEqual([
      'HEAD',
      'b',
      'a',
    ]);
    expect(git.updateRef('/box', { ref: 'HEAD', to: 'b', reason: 'r' }).args.slice(-2)).toEqual([
      'HEAD',
      'b',
    ]);
  });
});

test('tar takes names to the letter, NUL-separated, and keeps what only it can keep', () => {
  for (const { args } of [commands['createArchive'], commands['extractArchive']].filter(
    (c) => c !== undefined,
  )) {
    for (const option of [
      '--null',
      '--verbatim-files-from',
      '--no-recursion',
      '--acls',
      '--xattrs',
      '--numeric-owner',
    ])
      expect(args).toContain(option);
  }
});

test('packages are installed exactly as the lockfile says', () => {
  expect(npmCi('/box').args[0]).toBe('ci');
});
