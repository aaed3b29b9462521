import { delimiter, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { StepName } from '../../orchestrator/pipeline/journal-entries.ts';
import { updateSteps } from '../../orchestrator/pipeline/steps.ts';
import { ensurePrismaCli } from '../fixtures/schema-engine/prisma-project.ts';
import * as broken from '../support/broken-releases.ts';
import type { Fault } from '../support/faults.ts';
import { Ledger } from '../support/ledger.ts';
import { release, type Edit } from '../support/releases.ts';
import { differences } from '../support/state.ts';
import { isThorough } from '../support/thoroughness.ts';
import { operations } from '../support/tested-database.ts';

/*
 * An update fails, at each step and in several ways; afterwards the appliance is exactly as before. One installation
 * serves all cases: each leaves it as it found it, which is the promise, or all later ones fail as well.
 */

interface Case {
  readonly step: StepName;
  readonly how: string;
  readonly publish?: Edit;
  readonly fault?: Omit<Fault, 'step'>;
  /** Before the window nothing was touched; after it opened everything is brought back. */
  readonly outcome?: 'refused' | 'failed-unchanged' | 'restored';
  readonly says: RegExp;
}

const before = (operation: RegExp, nth = 1) => ({
  fault: { operation, when: 'before', nth } as const,
  says: /before its effect/,
});
const after = (operation: RegExp, nth = 1) => ({
  fault: { operation, when: 'after', nth } as const,
  says: /after its effect/,
});

const cases: readonly Case[] = [
  {
    step: 'preflight',
    how: 'the target needs a program that is not installed',
    publish: broken.missingProgram,
    outcome: 'refused',
    says: /no-such-program/,
  },
  { step: 'preflight', how: 'git fails', outcome: 'failed-unchanged', ...before(/^git .* status/) },
  { step: 'stop-services', how: 'a service cannot be stopped', ...before(/^stop api/) },
  { step: 'stop-services', how: 'after a service was stopped', ...after(/^stop web/) },
  { step: 'stop-services', how: 'git fails behind the fence', ...before(/^git .* status/) },
  { step: 'backup-database', how: 'the dump fails', ...before(operations.dump) },
  { step: 'backup-database', how: 'after the dump', ...after(operations.dump) },
  { step: 'backup-files', how: 'tar fails', ...before(/^tar --create/) },
  { step: 'backup-files', how: 'after the archive was written', ...after(/^tar --create/) },
  { step: 'backup-registry', how: 'the barrier before the seal fails', ...before(/^sync/) },
  { step: 'backup-registry', how: 'after the barrier', ...after(/^sync/) },
  { step: 'pull-code', how: 'git cannot move the branch', ...before(/^git .* update-ref/) },
  { step: 'pull-code', how: 'after the branch was moved', ...after(/^git .* update-ref/) },
  {
    step: 'install-backend',
    how: 'the lockfile does not fit',
    publish: broken.badLockfile,
    says: /npm ci .* failed/,
  },
  { step: 'install-backend', how: 'after npm ci', ...after(/^npm ci/) },
  {
    step: 'build-backend',
    how: 'it does not build',
    publish: broken.buildError,
    says: /the api does not build/,
  },
  { step: 'build-backend', how: 'after the build', ...after(/^node build.js/) },
  {
    step: 'migrate-schema',
    how: 'the third migration fails after two succeeded',
    publish: broken.badSchemaMigration,
    says: /no_such_table/,
  },
  {
    step: 'migrate-schema',
    how: "the same, through Prisma's own command line",
    publish: broken.badPrismaMigration,
    says: /prisma migrate deploy failed[^]*0005_bad[^]*no_such_table/,
  },
  { step: 'migrate-schema', how: 'after the migrations', ...after(/^node migrate.js/) },
  {
    step: 'migrate-data',
    how: 'a data migration throws half-way through its rows',
    publish: broken.badDataMigration,
    says: /row 3: cannot be migrated/,
  },
  { step: 'migrate-data', how: 'after the data migrations', ...after(/^bash .*run.sh/) },
  {
    step: 'build-frontend',
    how: 'it does not build',
    publish: broken.frontendError,
    says: /the web does not build/,
  },
  { step: 'build-frontend', how: 'after the build', ...after(/^node build.js/) },
  {
    step: 'restart-services',
    how: 'a service ends at its start',
    publish: broken.endsAtStart,
    says: /ended at its start[^]*cannot start/,
  },
  { step: 'restart-services', how: 'after the last service was started', ...after(/^start web/) },
  {
    step: 'verify',
    how: 'another commit answers',
    publish: broken.wrongCommit,
    says: /answers as commit "0{40}"/,
  },
  {
    step: 'verify',
    how: 'a service that others wait for was healthy and ends',
    publish: broken.endsSoon,
    says: /ended/,
  },
  {
    step: 'verify',
    how: 'the page does not come up',
    publish: broken.removesItself,
    says: /service web ended/,
  },
  { step: 'commit', how: 'the barrier before the commit fails', ...before(/^sync/) },
  { step: 'commit', how: 'after the barrier', ...after(/^sync/) },
];

/** Of the operations that are made to fail one of each step that no release breaks, before its effect or after it, in turn. */
const injected = Map.groupBy(
  cases.filter(({ fault }) => fault),
  ({ step }) => step,
);
const brokenByRelease = new Set(cases.flatMap(({ step, publish }) => (publish ? [step] : [])));
const tried = cases.filter((it) => {
  const ofStep = injected.get(it.step) ?? [];
  const turn = [...injected.keys()].indexOf(it.step) % ofStep.length;
  return isThorough || !it.fault || (ofStep[turn] === it && !brokenByRelease.has(it.step));
});

let ledger: Ledger;
let installed: string;

beforeAll(async () => {
  await ensurePrismaCli();
  ledger = await Ledger.install();
  // The installed release came by an update, so that there are a snapshot, a former product, a set-aside database.
  installed = await ledger.sandbox.publish(release(2), { tag: 'v2' });
  await ledger.succeed('update');
});

afterAll(async () => {
  await ledger?.destroy();
});

describe('an update that fails', () => {
  test.each(tried)('at $step ($how) leaves everything exactly as before', async (it) => {
    await ledger.sandbox.publish(it.publish ?? broken.good, { onto: installed });
    await ledger.post(`acknowledged before "${it.step}: ${it.how}"`, 1);
    const was = await ledger.capture();
    const opened = it.outcome === undefined;

    const outcome = await withPrismaOnPath(async () =>
      it.fault ? await ledger.failing({ step: it.step, ...it.fault }, 'update') : await ledger.run('update'),
    );

    expect(outcome).toMatchObject({
      error: expect.stringMatching(it.says),
      result: { outcome: it.outcome ?? 'restored', failedStep: it.step },
      exitCode: opened ? 10 : it.outcome === 'refused' ? 3 : 1,
    });
    expect(differences(was, await ledger.capture())).toEqual([]);
    expect(await ledger.answeringCommit()).toBe(installed);
    expect(await ledger.notes()).toContain(`acknowledged before "${it.step}: ${it.how}"`);
  });

  test('was tried at every step', () => {
    expect([...new Set(tried.map(({ step }) => step))]).toEqual(updateSteps.map(({ name }) => name));
  });

  test('does not keep a later, good one from succeeding', async () => {
    const commit = await ledger.sandbox.publish(broken.good, { onto: installed });

    const outcome = await ledger.run('update');

    expect(outcome).toMatchObject({ exitCode: 0, error: '' });
    expect(await ledger.answeringCommit()).toBe(commit);
    expect(await ledger.notes()).toHaveLength(4 + tried.length);
  });
});

/** The ledger's own packages hold no Prisma: installing it would take longer than all else here. */
async function withPrismaOnPath<T>(work: () => Promise<T>): Promise<T> {
  const path = process.env['PATH'];
  process.env['PATH'] = [path, join(import.meta.dirname, '../../backend/node_modules/.bin')].join(delimiter);
  try {
    return await work();
  } finally {
    process.env['PATH'] = path;
  }
}
