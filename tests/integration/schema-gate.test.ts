import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Ledger } from '../support/ledger.ts';
import { replaceIn, schemaMigration, type Edit } from '../support/releases.ts';
import { differences, type State } from '../support/state.ts';

/* What an update does not do by itself: take data away, leave out a release that must come before, misfit versions. */

let ledger: Ledger;
let installed: string;
let was: State;

beforeAll(async () => {
  ledger = await Ledger.install();
  installed = await ledger.sandbox.publish(
    (folder) =>
      schemaMigration(
        folder,
        '20260201000000_memo',
        `alter table entries add column memo text; create table old (i int);`,
      ),
    { tag: 'v2.0.0' },
  );
  await ledger.succeed('update');
  await ledger.sql('insert into old values (1)');
  was = await ledger.capture();
});

afterAll(async () => {
  await ledger?.destroy();
});

const drops: Edit = (folder) => {
  schemaMigration(
    folder,
    '20260301000000_drop',
    `set lock_timeout = '5s';\nalter table entries\n  drop column memo;`,
  );
};

describe('a release that takes data away', () => {
  test('is refused with what it would lose; allowed, it is applied, and a rollback brings everything back', async () => {
    await ledger.sandbox.publish(drops, { onto: installed, tag: 'v3.0.0' });
    const refused = await ledger.run('update');
    expect(refused).toMatchObject({
      exitCode: 3,
      error: expect.stringMatching(
        /^cannot update to v3\.0\.0: the schema migration 20260301000000_drop drops the column entries\.memo \(4 rows\), and what is in there is lost$/,
      ),
      next: expect.stringContaining('./run.sh update --allow-destructive'),
    });
    expect(refused.events.some((event) => event.type === 'step' && event.step === 'stop-services')).toBe(
      false,
    );
    const again = './run.sh update --to v3.0.0 --allow-destructive';
    expect(await ledger.run('update', '--to', 'v3.0.0')).toMatchObject({
      ...{ exitCode: 3, next: expect.stringContaining(again) },
    });
    const rehearsed = await ledger.run('rehearse', '--to', 'v3.0.0');
    expect(rehearsed).toMatchObject({ exitCode: 0, result: { ok: true } });
    expect(rehearsed.text).toContain(
      'An update would be refused: cannot update to v3.0.0: the schema migration',
    );
    expect(rehearsed.text).toMatch(new RegExp(`Next: .*${again}$`, 'm'));
    expect(differences(was, await ledger.capture())).toEqual([]);

    expect(await ledger.run('update', '--allow-destructive')).toMatchObject({ exitCode: 0 });
    expect(await ledger.sql(`select 1 from information_schema.columns where column_name = 'memo'`)).toEqual(
      [],
    );
    await ledger.succeed('rollback');
    expect(differences(was, await ledger.capture())).toEqual([]);
  });

  test('--yes is no consent to it', async () => {
    expect(await ledger.run('update', '--yes')).toMatchObject({ exitCode: 3 });
  });

  test('accepted by the vendor in its file, it is applied', async () => {
    await ledger.sandbox.publish(
      (folder) =>
        schemaMigration(
          folder,
          '20260301000000_drop',
          `-- holdfast:accept drop-column: nobody filled it\nalter table entries drop column memo;`,
        ),
      { onto: installed, tag: 'v3.0.1' },
    );
    expect(await ledger.run('update')).toMatchObject({ exitCode: 0 });
    await ledger.succeed('rollback');
  });

  test('a table without a row is no loss', async () => {
    await ledger.sql('create table forgotten (i int); truncate old');
    await ledger.sandbox.publish(
      (folder) => schemaMigration(folder, '20260301000000_drop', `drop table old;`),
      { onto: installed, tag: 'v3.0.2' },
    );
    expect(await ledger.run('update')).toMatchObject({ exitCode: 0 });
    await ledger.succeed('rollback');
    await ledger.sql('drop table forgotten');
  });
});

describe('versions', () => {
  const needing =
    (version: string): Edit =>
    (folder) =>
      replaceIn(
        folder,
        'appliance.yaml',
        'backups: { keep: 5 }',
        `backups: { keep: 5 }\nrequires: { fromVersion: ${version} }`,
      );

  test('a release that needs another one before it names that one', async () => {
    const between = await ledger.sandbox.publish(
      (folder) => writeFileSync(join(folder, 'RELEASE.md'), 'Stop here.\u001B[2J\n'),
      {
        onto: installed,
        tag: 'v3.5.0',
      },
    );
    await ledger.sandbox.publish(needing('"3.5"'), { onto: between, tag: 'v4.0.0' });
    expect(await ledger.run('update')).toMatchObject({
      exitCode: 3,
      error: 'cannot update to v4.0.0: it needs 3.5 or newer before it, and 2.0.0 is installed',
      next: './run.sh update --to v3.5.0, then ./run.sh update again',
    });
    const first = await ledger.run('update', '--to', 'v3.5.0');
    expect(first).toMatchObject({ exitCode: 0 });
    // What its vendor says, without what would move the cursor of a terminal.
    expect(first.events).toContainEqual({
      type: 'say',
      message: 'v3.5.0, by its vendor:\n  Stop here.[2J\n',
    });
    expect(await ledger.run('update')).toMatchObject({ exitCode: 0 });
    await ledger.succeed('rollback');
    await ledger.succeed('rollback', '--undo');
  });

  test('a migration that requires a newer application than it comes with is refused', async () => {
    await ledger.sandbox.publish(
      (folder) =>
        schemaMigration(
          folder,
          '20260401000000_more',
          `-- Requires application version >= 9.1\ncreate table more (i int);`,
        ),
      { tag: 'v4.1.0' },
    );
    expect(await ledger.run('update')).toMatchObject({
      exitCode: 3,
      error: expect.stringMatching(
        /20260401000000_more requires application version 9\.1 or newer, and v4\.1\.0 is 4\.1\.0$/,
      ),
    });
  });
});
