import { expect, test } from 'vitest';
import {
  phaseOf,
  restorePhases,
  stepNames,
  type JournalEntry,
  type RunPhase,
} from '../../../orchestrator/pipeline/journal-entries.ts';
import { stepTitles } from '../../../orchestrator/pipeline/step-titles.ts';

/** A run's whole journal, and the phase after each record: the table of DESIGN §4. */
const story: readonly [JournalEntry, RunPhase][] = [
  [{ type: 'step-started', step: 'preflight', half: 'prepare' }, 'prepared'],
  [{ type: 'step-finished', step: 'preflight', half: 'prepare', ms: 1 }, 'prepared'],
  [{ type: 'prepared' }, 'prepared'],
  [{ type: 'window-opened', services: [] }, 'window'],
  [{ type: 'step-started', step: 'stop-services', half: 'apply' }, 'window'],
  [{ type: 'warning', message: '' }, 'window'],
  [{ type: 'sealed', snapshot: 's', manifestSha256: '' }, 'sealed'],
  [{ type: 'step-failed', step: 'migrate-schema', message: '' }, 'sealed'],
  [{ type: 'restore-started', because: '' }, 'sealed'],
  [{ type: 'database-replacement', mark: 'm', live: 1, replacement: 2 }, 'sealed'],
  ...restorePhases.map(
    (phase) => [{ type: 'restore-phase', phase, state: 'finished' }, 'sealed'] as [JournalEntry, RunPhase],
  ),
  [{ type: 'restored' }, 'restored'],
  [{ type: 'step-started', step: 'restart-services', half: 'apply' }, 'restored'],
  [{ type: 'finished', outcome: 'restored' }, 'finished'],
];

test('of a run that has written nothing nothing is to be restored', () => {
  expect(phaseOf([])).toBe('prepared');
});

test.each(story.map(([entry, phase], index) => [entry.type, phase, index] as const))(
  'after %s the phase is %s',
  (_type, phase, index) => {
    expect(phaseOf(story.slice(0, index + 1).map(([entry]) => entry))).toBe(phase);
  },
);

test('after the commit nothing but the end follows, whatever warnings come', () => {
  const committed: JournalEntry[] = [...story.slice(0, 7).map(([entry]) => entry), { type: 'committed' }];
  expect(phaseOf(committed)).toBe('committed');
  expect(phaseOf([...committed, { type: 'warning', message: 'pruning failed' }])).toBe('committed');
  expect(phaseOf([...committed, { type: 'finished', outcome: 'updated' }])).toBe('finished');
});

test('every step has a title for people', () => {
  expect(Object.keys(stepTitles).toSorted()).toEqual([...stepNames].toSorted());
});
