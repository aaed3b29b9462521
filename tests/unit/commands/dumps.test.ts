import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { pruneDumps } from '../../../orchestrator/commands/dumps.ts';

test('three dumps stay, the one that is asked for, and what is not ours; what a killed one left goes', () => {
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-dumps-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const dump = (minute: number) => `2026112204${minute}00000-before-reset.dump`;
  const whole = (name: string) => [name, `${name}.json`, `${name}.registry.json`];
  const stay = [11, 13, 14, 15].flatMap((minute) => whole(dump(minute)));
  const others = ['mine.dump', 'mine.dump.json.txt', 'notes.txt'];
  const go = [...whole(dump(12)), dump(16), `${dump(17)}.registry.json`];
  for (const name of [...stay, ...others, ...go]) writeFileSync(join(folder, name), '');
  pruneDumps(folder, join(folder, dump(11)));
  expect(readdirSync(folder).toSorted()).toEqual([...stay, ...others].toSorted());
});
