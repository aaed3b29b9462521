import { describe, expect, test } from 'vitest';
import { InterruptedError, NotRestoredError, Refusal } from '../../../orchestrator/lib/errors.ts';
import type { RunResult } from '../../../orchestrator/pipeline/pipeline.ts';
import {
  describeNotRestored,
  describeOutcome,
  exitCodeOf,
  resultEvent,
} from '../../../orchestrator/ui/outcome.ts';
import { configOf } from '../support/an-appliance.ts';
import { plain } from '../support/captured.ts';

const origin = { commit: 'c1', ref: 'refs/heads/main', label: '1.4.0' };
const target = { commit: 'c2', label: '1.5.0', config: configOf() };
const base = { run: '20261120-021403', outageMs: 14_000, totalMs: 40_400, warnings: [] };
const recovery = {
  phase: 'sealed',
  state: 'before',
  compared: '12,004 files, 31 tables, registry: identical',
  gone: [],
  restoreMs: 4100,
} as const;
const told = (result: Partial<RunResult> & Pick<RunResult, 'outcome'>) =>
  describeOutcome({ ...base, ...result }, origin, target, plain);

describe('somebody tired reads', () => {
  test('updated', () => {
    expect(told({ outcome: 'updated' })).toMatchInlineSnapshot(`
      "UPDATED to 1.5.0 (was 1.4.0). Offline 14 s, 40 s in all.
        Back:  ./run.sh rollback"
    `);
  });

  test('rolled back', () => {
    expect(told({ outcome: 'rolled-back' })).toMatchInlineSnapshot(`
      "ROLLED BACK to 1.5.0 (was 1.4.0). Offline 14 s, 40 s in all.
        Undo:  ./run.sh rollback --undo"
    `);
  });

  test('backed up, and nothing of being offline where the services went on', () => {
    expect(told({ outcome: 'backed-up', outageMs: 0 })).toMatchInlineSnapshot(
      `
      "BACKED UP as 20261120-021403. 40 s in all.
        Back:  ./run.sh rollback 20261120-021403"
    `,
    );
  });

  test('restored, with what was compared and what to do', () => {
    expect(
      told({ outcome: 'restored', error: new Error('row id=8127'), failedStep: 'migrate-data', recovery }),
    ).toMatchInlineSnapshot(`
      "Restored the snapshot in 4.1 s.
        compared: 12,004 files, 31 tables, registry: identical. 1.4.0 answers.
      RESTORED to 1.4.0. No data was lost. Offline 14 s, 40 s in all.
        Why:  ./run.sh logs 20261120-021403
        Next: nothing to do now; send that log to the vendor. Retrying fails the same way."
    `);
  });

  test('restored, where a migration had dropped what no snapshot holds', () => {
    const outcome = { outcome: 'restored', error: new Error('no'), failedStep: 'migrate-schema' } as const;
    expect(told({ ...outcome, recovery: { ...recovery, gone: ['legacy'] } })).toContain(
      "RESTORED to 1.4.0. The appliance's own data are as before, but of the server's other databases, which no snapshot holds, these are gone: legacy.",
    );
  });

  test('restored after an interruption: nothing is broken', () => {
    expect(told({ outcome: 'restored', error: new InterruptedError('SIGINT'), recovery }))
      .toMatchInlineSnapshot(`
      "Restored the snapshot in 4.1 s.
        compared: 12,004 files, 31 tables, registry: identical. 1.4.0 answers.
      RESTORED to 1.4.0. No data was lost. Offline 14 s, 40 s in all.
        Why:  ./run.sh logs 20261120-021403
        Next: ./run.sh update, whenever it suits you."
    `);
  });

  test('restored before the snapshot was sealed: no comparison is claimed that was not made', () => {
    expect(
      told({
        outcome: 'restored',
        error: new Error('x'),
        recovery: { ...recovery, phase: 'window', compared: '' },
      }),
    ).toMatchInlineSnapshot(`
      "Nothing had been changed yet.
      RESTORED to 1.4.0. No data was lost. Offline 14 s, 40 s in all.
        Why:  ./run.sh logs 20261120-021403
        Next: nothing to do now; send that log to the vendor. Retrying fails the same way."
    `);
  });

  test('not restored: never that nothing was changed', () => {
    const text = told({ outcome: 'not-restored', error: new NotRestoredError('x') });
    expect(text).toMatchInlineSnapshot(`
      "NOT RESTORED. The services stay down.
        Next: ./run.sh recover"
    `);
  });

  test('refused, with the fix', () => {
    expect(told({ outcome: 'refused', error: new Refusal('no room', 'free 3 GB') })).toMatchInlineSnapshot(`
      "Nothing was changed, and nothing was stopped.
        Next: free 3 GB"
    `);
    expect(told({ outcome: 'refused', error: new Refusal('no room') })).toMatchInlineSnapshot(
      `"Nothing was changed, and nothing was stopped."`,
    );
  });

  test('interrupted before the window', () => {
    expect(told({ outcome: 'interrupted', error: new InterruptedError('SIGTERM') })).toMatchInlineSnapshot(
      `"Nothing was changed, and nothing was stopped."`,
    );
  });

  test('failed before the window', () => {
    expect(told({ outcome: 'failed-unchanged', error: new Error('npm ci failed') })).toMatchInlineSnapshot(`
      "Nothing was changed, and nothing was stopped.
        Next: ./run.sh logs 20261120-021403 shows more"
    `);
  });
});

test('somebody frightened reads what is so, what is safe, and what to type', () => {
  const run = { id: 'r1', phase: 'sealed' } as const;
  expect(describeNotRestored('both causes\non two lines', run, './run.sh recover', plain))
    .toMatchInlineSnapshot(`
    "NOT RESTORED. The services stay down; the data is safe in the snapshot.
      both causes
      on two lines
      Why:  ./run.sh logs r1
      Next: ./run.sh recover"
  `);
});

test.each([
  ['prepared', 'NOT FINISHED. Nothing was changed.'],
  [
    'window',
    'NOT STARTED AGAIN. The services stay down; nothing had been changed yet, and the data is where it was.',
  ],
  ['restored', 'RESTORED, BUT NOT STARTED. Everything is as it was before; the services stay down.'],
  ['committed', 'NOT STARTED. The new version is in place, and nothing will be restored.'],
] as const)('and is told of a snapshot only where one was sealed: %s', (phase, says) => {
  const text = describeNotRestored('why', { id: 'r1', phase }, './run.sh recover', plain);

  expect(text.split('\n')[0]).toBe(says);
  expect(text).not.toContain('snapshot');
});

test.each<[RunResult['outcome'], unknown, number]>([
  ['updated', undefined, 0],
  ['rolled-back', undefined, 0],
  ['backed-up', undefined, 0],
  ['restored', new Error('x'), 10],
  ['restored', new Refusal('x'), 10],
  ['not-restored', new Error('x'), 11],
  ['refused', new Refusal('x'), 3],
  ['interrupted', new InterruptedError('SIGINT'), 130],
  ['interrupted', new InterruptedError('SIGTERM'), 143],
  ['failed-unchanged', new Error('x'), 1],
])('%s (%s) ends with exit %d', (outcome, error, exitCode) => {
  expect(exitCodeOf({ ...base, outcome, error })).toBe(exitCode);
});

describe('a program reads', () => {
  test('a failure with its step and its error', () => {
    const result: RunResult = {
      ...base,
      outcome: 'restored',
      failedStep: 'migrate-data',
      error: new Error('why'),
      recovery,
    };
    expect(resultEvent({ ...result, outageMs: 14_000.4 }, origin, target, { snapshot: 's1' })).toEqual({
      ...{
        type: 'result',
        ok: false,
        exitCode: 10,
        outcome: 'restored',
        run: '20261120-021403',
        from: 'c1',
        to: 'c2',
      },
      ...{ failedStep: 'migrate-data', error: 'why', identical: true, totalMs: 40_400, outageMs: 14_000 },
      ...{ compared: recovery.compared, warnings: [], snapshot: 's1' },
    });
  });

  test('"identical" only where something was compared', () => {
    const result: RunResult = { ...base, outcome: 'restored', recovery: { ...recovery, compared: '' } };
    expect(resultEvent(result, origin, target)['identical']).toBe(false);
    expect(resultEvent({ ...base, outcome: 'updated' }, origin, target)).not.toHaveProperty('identical');
  });
});
