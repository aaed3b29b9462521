import { describe, expect, it } from 'vitest';
import { countWrites, judge, Ledger, type Content } from '../../../orchestrator/demo/ledger.ts';
import { OutageClock } from '../../../orchestrator/demo/outage.ts';

const content = (serial: string, location: string): Content => ({
  serial,
  name: 'Lathe',
  location,
  status: 'active',
});
const found = (...contents: Content[]) => new Map(contents.map((one) => [one.serial, one]));

describe('the ledger of the client', () => {
  const ledger = new Ledger();
  ledger.acknowledge(content('a', '1'), 0);
  ledger.acknowledge(content('a', '2'), 0);
  ledger.acknowledge(content('b', '1'), 1);
  ledger.doubt(content('b', '2'), 1);
  ledger.doubt(content('c', '1'), 1);
  const all = ledger.rows(() => true);

  it('gives the rows of an era', () => {
    expect(ledger.rows((era) => era === 0).map(({ serial }) => serial)).toEqual(['a']);
    expect(countWrites(all)).toBe(3);
  });

  it('finds every acknowledged write, whether a doubtful one was done or not', () => {
    const done = judge(all, found(content('a', '2'), content('b', '2'), content('c', '1')));
    const notDone = judge(all, found(content('a', '2'), content('b', '1')));
    for (const judgement of [done, notDone])
      expect(judgement).toMatchObject({ lostWrites: 0, foundWrites: 3, strangers: [] });
  });

  it('counts what is lost: a row, or the last of its changes', () => {
    expect(judge(all, found(content('b', '1'))).lostWrites).toBe(2);
    expect(judge(all, found(content('a', '1'), content('b', '1'))).lostWrites).toBe(1);
    expect(judge(all, found(content('a', 'never written'), content('b', '1'))).lostWrites).toBe(2);
  });

  it('names rows that nobody wrote there', () => {
    expect(
      judge(
        ledger.rows((era) => era === 0),
        found(content('a', '2'), content('b', '1')),
      ).strangers,
    ).toEqual(['b']);
  });
});

describe('the outage', () => {
  it('lasts from the first probe without an answer to the next answer', () => {
    const clock = new OutageClock();
    clock.note(true, 0, 5);
    clock.note(false, 20, 25);
    clock.note(false, 40, 45);
    clock.note(true, 60, 70);
    clock.note(true, 80, 85);
    expect(clock.totalMs(1000)).toBe(50);
    clock.note(false, 100, 101);
    expect(clock.totalMs(1000)).toBe(950);
  });
});
