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
    const step = { type: 'step', step: 'migrate-data', half: 'apply', title: 'Data migrations' };
    expect(describeEvent({ ...step, state: 'finished', ms: 1200 }, plain)).toBe('✔ Data migrations (1.2 s)');
    expect(describeEvent({ ...step, state: 'failed', message: 'row 1\nmore' }, plain)).toBe(
      '✖ Data migrations: row 1',
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
  it('shows the runs side by side within 80 columns, steps called as the update calls them', () => {
    expect(formatTable(runs, plain)).toMatchInlineSnapshot(`
      "                             update v2.0.0  update v3.0.0    rollback v1.0.0
      outcome                      updated        restored         rolled-back
      failed step                  -              Data migrations  -
      duration                     18 s           18 s             18 s
      ms without a healthy answer  17,173         17,173           17,173
      rows checked                 1,641          1,641            1,641
      lost writes                  0              0                0
      writes set aside             -              -                331
      as before                    -              identical        NOT IDENTICAL"
    `);
    for (const line of formatTable(runs, plain).split('\n')) expect(line.length).toBeLessThanOrEqual(80);
  });

  it('is padded before it is coloured', () => {
    const problem = { ...run, lostWrites: 2, problems: ['2 writes were lost'] };
    const lines = formatTable([problem, ...runs], loud).split('\n');
    expect(lines[1]).toContain('<updated      >  [updated      ]  [restored       ]  [rolled-back]');
    expect(lines[6]).toContain('<2            >');
    expect(lines[8]).toContain('[identical      ]  <NOT IDENTICAL>');
  });
});
