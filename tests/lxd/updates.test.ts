import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import * as broken from '../support/broken-releases.ts';
import { lxdEnvironment } from '../support/lxd-host.ts';
import { Ledger } from '../support/ledger.ts';
import { release } from '../support/releases.ts';
import { differences } from '../support/state.ts';

/* The ledger in three containers of LXD. */

const why = inject('whyNoLxd');
let ledger: Ledger;
let installed: string;

describe.skipIf(why !== '')(`an appliance in containers${why === '' ? '' : ` (${why})`}`, () => {
  beforeAll(async () => {
    Object.assign(process.env, lxdEnvironment);
    ledger = await Ledger.install({ lxd: true });
  });

  afterAll(async () => {
    await ledger?.destroy();
  });

  test('a good update', async () => {
    installed = await ledger.sandbox.publish(release(2), { tag: 'v2' });
    expect(await ledger.run('update')).toMatchObject({ exitCode: 0, error: '' });
    expect(await ledger.answeringCommit()).toBe(installed);
  });

  test.each(Object.entries({ data: broken.badDataMigration }))(
    'a release whose %s is broken',
    async (_what, publish) => {
      await ledger.sandbox.publish(publish, { onto: installed });
      const was = await ledger.capture();
      expect(await ledger.run('update')).toMatchObject({ exitCode: 10, result: { outcome: 'restored' } });
      expect(differences(was, await ledger.capture())).toEqual([]);
    },
  );
});
