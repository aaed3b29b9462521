import { describe, expect, test } from 'vitest';
import { UsageError } from '../../../orchestrator/lib/errors.ts';
import { Secrets } from '../../../orchestrator/lib/secrets.ts';
import type { DriverTask } from '../../../orchestrator/pipeline/events.ts';
import { makeUi, type UiOptions } from '../../../orchestrator/ui/terminal.ts';
import { captured } from '../support/captured.ts';

function uiWith(options: Partial<UiOptions> = {}) {
  const secrets = new Secrets();
  secrets.add('hunter22');
  return makeUi({ json: false, yes: false, color: true, secrets, ...options });
}
const tasks: readonly DriverTask[] = [
  {
    title: 'one',
    run: async (note) => {
      note('hunter22 is the password');
      return await Promise.resolve(undefined);
    },
  },
  { title: 'two', run: async () => await Promise.resolve('nothing to do') },
  { title: 'three', run: async () => await Promise.reject(new Error('no')) },
  { title: 'never', run: async () => await Promise.reject(new Error('reached')) },
];
const times = (text: string): string => text.replaceAll(/\(\d[^)]*\)/g, '(time)');

describe('in plain lines', () => {
  test('each task is one line, the first that fails ends it, and its error comes out', async () => {
    const { out, err } = await captured(async () => {
      await expect(uiWith().driver.drive(tasks)).rejects.toThrow('no');
    });
    expect(times(out)).toBe('✔ one (time): *** is the password\n- two: nothing to do\n✖ three (time): no\n');
    expect(err).toBe('');
  });

  test('why a task failed is left to a caller who tells it himself', async () => {
    const { out } = await captured(async () => {
      await expect(uiWith().driver.drive(tasks, { tellsWhy: false })).rejects.toThrow('no');
    });
    expect(times(out)).toMatch(/✖ three \(time\)\n$/);
  });

  test('answers go to standard output, what is going on to standard error, without colours', async () => {
    const ui = uiWith();
    const { out, err } = await captured(() => {
      ui.print('printed');
      ui.say('postgres://u:secret@h');
      ui.listener({ type: 'warning', message: ui.paint.red('hunter22') });
      ui.listener({ type: 'output', line: 'from a program' });
      ui.listener({ type: 'restore', phase: 'files', state: 'started' });
      ui.listener({
        ...{ type: 'step', step: 'migrate-data', half: 'apply', title: 'Data migrations' },
        ...{ state: 'failed', message: 'why' },
      });
      ui.listener({ type: 'run', run: 'r1', kind: 'update', from: '1', to: '2' });
      ui.result({ type: 'result', ok: true, exitCode: 0 }, 'the end');
    });
    expect(out).toBe('printed\nthe end\n');
    expect(err).toBe('postgres://u:***@h\nwarning: ***\n  restoring: files\nUpdating 1 -> 2\n');
  });
});

describe('with --json', () => {
  test('every line is JSON, the result is the last, secrets are masked, and nothing else is printed', async () => {
    const ui = uiWith({ json: true });
    const { out, err } = await captured(async () => {
      ui.print('for people');
      ui.say('for people');
      await ui.driver.drive(tasks.slice(0, 2));
      ui.listener({
        ...{ type: 'step', step: 'verify', half: 'apply', title: 'Verify', state: 'finished', ms: 1.6 },
      });
      ui.listener({ type: 'note', message: 'http://127.0.0.1:4000/ "hunter22" a@b' });
      ui.listener({ type: 'output', line: 'from a program' });
      ui.result(
        { type: 'result', ok: true, exitCode: 0, url: 'http://127.0.0.1:4000/', mail: 'a@b' },
        'text',
      );
    });
    expect(err).toBe('');
    const time = expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/) as string;
    expect(
      out
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line) as unknown),
    ).toEqual([
      { type: 'step', time, step: 'verify', half: 'apply', title: 'Verify', state: 'finished', ms: 2 },
      { type: 'note', time, message: expect.stringContaining('"***"') },
      { type: 'result', time, ok: true, exitCode: 0, url: 'http://127.0.0.1:4000/', mail: 'a@b' },
    ]);
  });

  test('advice is typed as the caller typed it', async () => {
    const ui = uiWith({ json: true, door: './run.sh --appliance x' });
    const { out } = await captured(() => {
      ui.result({ type: 'result', ok: false, exitCode: 3, next: ['./run.sh recover'] }, 'text');
    });
    expect(JSON.parse(out)).toMatchObject({ next: ['./run.sh --appliance x recover'] });
  });

  test('the first task that fails ends it', async () => {
    await captured(async () => {
      await expect(uiWith({ json: true }).driver.drive(tasks)).rejects.toThrow('no');
    });
  });
});

describe('consent', () => {
  test('is given with --yes', async () => {
    expect(await uiWith({ yes: true }).confirm('Really?')).toBe(true);
    expect(await uiWith({ yes: true, json: true }).confirm('Really?')).toBe(true);
  });

  test('is never assumed where nobody can be asked', async () => {
    await expect(uiWith({ json: true }).confirm('Really?')).rejects.toThrow(UsageError);
  });
});
