import { spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Ledger } from '../support/ledger.ts';
import { needs } from '../support/needs.ts';
import { installPrismaLedger } from '../support/prisma-ledger.ts';
import { dataMigration, schemaMigration } from '../support/releases.ts';
import { differences } from '../support/state.ts';
import { atTerminal } from '../support/terminal.ts';

/* What is looked at before a release meets production: in a vendor's CI, by an operator, and by the one who must type a name. */

let ledger: Ledger;
let installed: string;
const drop = '20260302000000_drop_spare';

beforeAll(async () => {
  ({ ledger, installed } = await installPrismaLedger());
  await ledger.sql('create table spare as select i from generate_series(1, 3) i');
  const between = await ledger.sandbox.publish(
    (folder) =>
      schemaMigration(
        folder,
        '20260301000000_tags',
        `set lock_timeout = '5s';\ncreate table tags (i int primary key);\n-- Rollback: drop table tags;`,
      ),
    { onto: installed, tag: 'v1.5.0' },
  );
  await ledger.sandbox.publish(
    (folder) => {
      schemaMigration(
        folder,
        drop,
        `-- BREAKING: the report "spare parts" ends\nset lock_timeout = '5s';\ndrop table spare;`,
      );
      dataMigration(folder, '002_more', `await client.query("insert into tags values (1)");`);
    },
    { onto: between, tag: 'v2.0.0' },
  );
});

afterAll(async () => {
  await ledger?.destroy();
});

const rules = (outcome: Awaited<ReturnType<Ledger['run']>>) =>
  ((outcome.result?.['findings'] ?? []) as { rule: string; migration: string }[]).map(
    ({ rule, migration }) => `${migration}: ${rule}`,
  );

test('lint and show, of another version, and of what a branch adds', async () => {
  expect(await ledger.run('migrate', 'lint')).toMatchObject({ exitCode: 0, result: { migrations: [] } });
  const coming = await ledger.run('migrate', 'lint', '--to', 'v2.0.0');
  expect(coming).toMatchObject({ exitCode: 3, result: { migrations: ['20260301000000_tags', drop] } });
  expect(rules(coming)).toEqual([`${drop}: drop-table`]);
  expect(await ledger.run('migrate', 'lint', '--to', 'v1.5.0')).toMatchObject({ exitCode: 0 });
  // What is applied here does not matter to a pull request.
  const added = await ledger.run('migrate', 'lint', '--to', 'v2.0.0', '--since', 'v1.5.0');
  expect(added).toMatchObject({ exitCode: 3, result: { migrations: [drop] } });
  expect(await ledger.run('migrate', 'lint', '--since', 'nix')).toMatchObject({
    exitCode: 3,
    error: 'cannot compare with "nix": there is no such branch, tag or commit here',
  });

  const shown = await ledger.run('migrate', 'show', '--to', 'v1.5.0');
  expect(shown.text).toContain('create table tags');
  expect(shown.text).not.toContain('drop table spare');
  expect((await ledger.run('migrate', 'show')).text).toContain('0 migrations pending');
});

test('update --dry-run says what would be taken away, and changes nothing', async () => {
  const was = await ledger.capture();
  const plan = await ledger.run('update', '--dry-run');
  expect(plan).toMatchObject({
    exitCode: 0,
    result: {
      breaking: ['the report "spare parts" ends'],
      destructive: [expect.objectContaining({ rule: 'drop-table', table: 'spare' })],
    },
  });
  expect(plan.text).toContain('BREAKING: the report "spare parts" ends');
  expect(plan.text).toContain(
    `Takes data away: ${drop} drops the table spare (3 rows). It needs --allow-destructive.`,
  );
  expect(differences(was, await ledger.capture())).toEqual([]);
});

/** What is ticked of the checklist, by the first words of each line. */
const ticks = (outcome: Awaited<ReturnType<Ledger['run']>>) =>
  Object.fromEntries(
    ((outcome.result?.['items'] ?? []) as { what: string; state: string }[]).map(({ what, state }) => [
      what,
      state,
    ]),
  );

test('the checklist: what a machine can check is ticked or failed, the rest says how to check it', async () => {
  const now = await ledger.run('migrate', 'checklist');
  expect(now).toMatchObject({ exitCode: 0 });
  expect(Object.values(ticks(now))).not.toContain('failed');
  expect(now.text).toMatch(/\[x\] a whole snapshot: \d{8}-\d{6}, every byte read, .* old/);
  expect(now.text).toMatch(/\[ \] no drift: .*\n +how: \.\/run\.sh migrate generate check --dry-run/);

  const coming = await ledger.run('migrate', 'checklist', '--to', 'v2.0.0');
  expect(coming).toMatchObject({ exitCode: 3, result: { to: 'v2.0.0', ok: false } });
  expect(ticks(coming)).toMatchObject({
    'the database answers, and no migration in it is failed, edited or missing': 'ok',
    '2 pending migrations: names, syntax, one transaction each': 'ok',
    'each pending migration brings its way back (down.sql, or -- Rollback:)': 'warning',
    'nothing is announced as BREAKING': 'open',
    'nothing takes data away that was not accepted': 'failed',
    'rehearsed on the rows of this appliance': 'open',
    'room for a snapshot and a restore': 'ok',
    'the pending data migrations were tried': 'open',
  });
  expect(coming.text).toContain(`without: ${drop}\n        Next: ./run.sh migrate generate-down ${drop}`);
  expect(coming.text).toContain('the report "spare parts" ends');

  expect(await ledger.run('rehearse', '--to', 'v1.5.0')).toMatchObject({ exitCode: 0 });
  const rehearsed = await ledger.run('migrate', 'checklist', '--to', 'v1.5.0');
  expect(rehearsed).toMatchObject({ exitCode: 0 });
  expect(ticks(rehearsed)['rehearsed on the rows of this appliance']).toBe('ok');

  await ledger.sql(`insert into _prisma_migrations (id, checksum, migration_name, started_at)
    values ('x', 'y', '20260101000000_gone', now())`);
  const failed = await ledger.run('migrate', 'checklist');
  await ledger.sql(`delete from _prisma_migrations where id = 'x'`);
  expect(failed).toMatchObject({ exitCode: 3 });
  expect(failed.text).toMatch(/\[✖\] the database answers, .* 20260101000000_gone failed/);
});

/** The command line at a terminal, with somebody there. */
const typed = async (argv: readonly string[], question: RegExp, answer: string) =>
  await atTerminal(ledger.atTerminal(...argv), question, answer);

test('at a terminal: BREAKING is said, and the table is typed by name; another answer changes nothing', async (context) => {
  needs(context, 'script');
  const was = await ledger.capture();
  const asks = /Type spare to go on: /;
  const wrong = await typed(['update'], asks, 'yes');
  expect(wrong.said).toMatch(/! BREAKING: the report "spare parts" ends/);
  expect(wrong.said).toMatch(/drops the table spare \(3 rows\)/);
  expect(wrong).toMatchObject({ exitCode: 3, isAnswered: true });
  expect(wrong.said).toMatch(/the answer was another one\. Nothing was changed/);
  expect(wrong.said).toMatch(/migrate lint --to v2\.0\.0 shows what it was about/);
  expect(differences(was, await ledger.capture())).toEqual([]);

  const right = await typed(['update'], asks, 'spare');
  expect(right).toMatchObject({ exitCode: 0, isAnswered: true });
  expect(await ledger.sql(`select to_regclass('spare') as t`)).toEqual([{ t: null }]);
});

test('migrate deploy asks the same: another answer changes nothing, the name of the table goes on', async (context) => {
  needs(context, 'script');
  await ledger.sql('create table old as select i from generate_series(1, 2) i');
  const folder = join(ledger.directory, 'api/prisma/migrations/20260303000000_drop_old');
  mkdirSync(folder);
  writeFileSync(join(folder, 'migration.sql'), `set lock_timeout = '5s';\ndrop table old;`);
  const asks = /Type old to go on: /;
  const was = await ledger.capture();
  const wrong = await typed(['migrate', 'deploy'], asks, 'ol');
  expect(wrong).toMatchObject({ exitCode: 3, isAnswered: true });
  expect(wrong.said).toMatch(/drops the table old \(2 rows\)/);
  expect(wrong.said).toMatch(/the answer was another one\. Nothing was changed/);
  expect(differences(was, await ledger.capture())).toEqual([]);

  expect(await typed(['migrate', 'deploy'], asks, 'old')).toMatchObject({ exitCode: 0, isAnswered: true });
  expect(await ledger.sql(`select to_regclass('old') as t`)).toEqual([{ t: null }]);
});

test('db studio: Prisma Studio on this database, at an address that it says, until it is stopped', async () => {
  const words = [join(ledger.program.runner, 'main.mjs'), '--appliance', ledger.directory, 'db', 'studio'];
  const port = String(ledger.apiPort + 1_000);
  const studio = spawn(ledger.program.node, [...words, '--port', port], {
    env: { ...process.env, HOLDFAST_HOME: ledger.program.home },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let said = '';
  await new Promise<void>((resolve) => {
    const hear = (chunk: Buffer) => {
      said += chunk.toString();
      if (said.includes(`http://localhost:${port}`)) resolve();
    };
    studio.stdout.on('data', hear);
    studio.stderr.on('data', hear);
    studio.once('close', () => resolve());
  });
  expect(said).toContain(`http://localhost:${port}`);
  expect((await fetch(`http://127.0.0.1:${port}/`)).status).toBe(200);
  studio.kill('SIGINT');
  expect(await new Promise((resolve) => studio.once('close', resolve))).toBe(0);
});
