import { describe, expect, it } from 'vitest';
import {
  describeEvent,
  isServicesStopped,
  parseEventLine,
  textOf,
} from '../../../orchestrator/demo/cli-events.ts';
import type { RunReport } from '../../../orchestrator/demo/stage.ts';
import { formatTable } from '../../../orchestrator/demo/table.ts';

const same = (text: string) => text;
const plain = { bold: same, dim: same, red: same, green: same, yellow: same };
const loud = { ...plain, red: (text: string) => `<${text}>`, green: (text: string) => `[${text}]` };

describe('a line of --json', () => {
  it('is an event, or nothing', () => {
    expect(parseEventLine('{"type":"result","outcome":"updated"}')).toEqual({
      type: 'result',
      outcome: 'updated',
    });
    for (const line of ['', 'npm warn', '{', '{"type":1}', '["type"]', '{}'])
      expect(parseEventLine(line)).toBeUndefined();
    expect(textOf({ type: 'result', outcome: 1 }, 'outcome')).toBeUndefined();
    expect(textOf(undefined, 'outcome')).toBeUndefined();
  });

  it('is told with the name of its step', () => {
    const step = { type: 'step', step: 'migrate-data', half: 'apply' };
    expect(describeEvent({ ...step, state: 'finished', ms: 1200 }, plain)).toBe('✔ data migrations 1.2 s');
    expect(describeEvent({ ...step, state: 'failed', message: 'row 1\nmore' }, plain)).toBe(
      '✖ data migrations: row 1',
    );
    expect(describeEvent({ ...step, state: 'started' }, plain)).toBeUndefined();
    expect(describeEvent({ type: 'restore', phase: 'code', state: 'finished' }, plain)).toBe(
      '↺ restored: code',
    );
    expect(describeEvent({ type: 'note', message: 'x' }, plain)).toBeUndefined();
  });

  it('says when the services have stopped', () => {
    const stop = { type: 'step', step: 'stop-services', half: 'apply' };
    expect(isServicesStopped({ ...stop, state: 'finished' })).toBe(true);
    expect(isServicesStopped({ ...stop, state: 'started' })).toBe(false);
  });
});

const run: RunReport = {
  title: 'update to v2.0.0',
  outcome: 'updated',
  totalMs: 18_300,
  outageMs: 17_173,
  lostWrites: 0,
  rowsChecked: 1641,
  problems: [],
};
const runs: RunReport[] = [
  run,
  { ...run, title: 'update to v3.0.0', outcome: 'restored', failedStep: 'migrate-data', identical: true },
  { ...run, title: 'rollback to v1.0.0', outcome: 'rolled-back', identical: false, setAside: 331 },
];

describe('the table', () => {
  it('has a line a run, and its columns stand in line', () => {
    expect(formatTable(runs, plain)).toMatchInlineSnapshot(`
      "run                 outcome      failed step      duration     outage  rows checked  lost writes  set aside  identical
      update to v2.0.0    updated      -                    18 s  17,173 ms         1,641            0          -  -
      update to v3.0.0    restored     data migrations      18 s  17,173 ms         1,641            0          -  identical
      rollback to v1.0.0  rolled-back  -                    18 s  17,173 ms         1,641            0        331  NO"
    `);
  });

  it('is padded before it is coloured', () => {
    const problem = { ...run, lostWrites: 2, problems: ['2 writes were lost'] };
    const lines = formatTable([...runs, problem], loud).split('\n');
    expect(lines[1]).toContain('[updated    ]');
    expect(lines[2]).toContain('[identical]');
    expect(lines[3]).toContain('<NO       >');
    expect(lines[4]).toContain('<updated    >');
    expect(lines[4]).toContain('<          2>');
  });
});
