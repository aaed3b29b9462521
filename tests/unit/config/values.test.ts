import { describe, expect, test } from 'vitest';
import { configOf, least } from '../support/an-appliance.ts';
import { problemsOf, withService } from '../support/problems.ts';

describe('a duration', () => {
  test.each([
    ['500ms', 500],
    ['30s', 30_000],
    ['2m', 120_000],
    ['1h', 3_600_000],
    ['1.5s', 1500],
    ['0s', 0],
  ])('%s is %d ms', (text, ms) => {
    expect(
      configOf({ services: { api: { start: 'x', stop: { timeout: text } } } }).services['api']?.stop.timeout,
    ).toBe(ms);
  });

  test.each(['30', '30 s', 's', '-1s', '1d', '1s2', '', ' 1s'])('"%s" is none', (text) => {
    expect(problemsOf(withService({ start: 'x', stop: { timeout: text } }))).toEqual([
      `services.api.stop.timeout: must be a duration such as 30s, 500ms or 2m; found "${text}"`,
    ]);
  });

  test('is never a bare number, whose unit nobody knows', () => {
    expect(problemsOf(withService({ start: 'x', stop: { timeout: 30 } }))).toEqual([
      'services.api.stop.timeout: must be a duration such as 30s, 500ms or 2m; found 30',
    ]);
  });
});

describe('names and values', () => {
  test('a name that will not do says why, with its path', () => {
    expect(problemsOf({ ...least, services: { Api: { start: 'x' } } })).toEqual([
      'services.Api: must be lower-case letters, digits and hyphens, at most 40, starting with a letter; found the key "Api"',
    ]);
    expect(problemsOf(withService({ start: 'x', env: { 'A-B': 'x' } }))).toEqual([
      'services.api.env.A-B: must be the name of an environment variable; found the key "A-B"',
    ]);
  });

  test('an environment takes texts, numbers and truths, and nothing that is none', () => {
    expect(configOf({ env: { set: { A: 'x', B: 4000, C: true } } }).env.set).toEqual({
      A: 'x',
      B: '4000',
      C: 'true',
    });
    expect(problemsOf({ ...least, env: { set: { A: null, B: { c: 1 } } } })).toEqual([
      'env.set.A: must be a text, a number, or true or false; found an empty value',
      'env.set.B: must be a text, a number, or true or false; found a mapping',
    ]);
  });

  test.each([
    ['./cache', 'cache'],
    ['cache/', 'cache'],
    ['a//b/./c', 'a/b/c'],
    ['.', '.'],
    ['./', '.'],
  ])('the path %s is %s', (written, meant) => {
    expect(configOf({ exclude: [written] }).exclude).toEqual([meant]);
  });

  test.each(['..', '../x', 'a/../../b', '/etc', ''])('the path "%s" leaves the checkout', (path) => {
    expect(problemsOf({ ...least, exclude: [path] })).toHaveLength(1);
  });

  test('a notification has a URL or a command, not both and not none', () => {
    const problem = 'notify[0]: needs either url or command; found a mapping';
    expect(problemsOf({ ...least, notify: [{}] })).toEqual([problem]);
    expect(problemsOf({ ...least, notify: [{ url: 'http://x', command: 'y' }] })).toEqual([problem]);
  });
});
