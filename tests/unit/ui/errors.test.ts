import { expect, test } from 'vitest';
import { Refusal } from '../../../orchestrator/lib/errors.ts';
import { CommandError } from '../../../orchestrator/runtime/runtime.ts';
import { describeError } from '../../../orchestrator/ui/errors.ts';
import { plain } from '../support/captured.ts';

const told = (error: unknown, verbose = false): string => describeError(error, { verbose, paint: plain });

test('an error that was thought about says what, why and next, and shows no stack', () => {
  expect(told(new Refusal('cannot update: 3.1 GB free, 7.4 GB needed', 'free some'))).toBe(
    '✖ cannot update: 3.1 GB free, 7.4 GB needed\n  Next: free some',
  );
  expect(told(new Refusal('cannot update'))).toBe('✖ cannot update');
});

test('an error of ours says so, and asks to be reported', () => {
  for (const error of [new TypeError('x is not a function'), 'a text'])
    expect(told(error)).toContain('This is a bug in Holdfast. Please report it');
});

test('a program that failed is no bug of ours', () => {
  expect(told(new CommandError('npm ci failed (exit 1): no space', { stdout: '', stderr: '' }))).toBe(
    '✖ npm ci failed (exit 1): no space',
  );
});

test('asked for, every cause is shown with its stack', () => {
  const root = new Error('the root');
  const both = new AggregateError([new Error('one'), root], 'both failed');
  const text = told(new Refusal('cannot update', 'next', both), true);
  for (const part of [
    'Refusal: cannot update',
    'both failed',
    'Error: one',
    'Error: the root',
    'errors.test.ts',
  ])
    expect(text).toContain(part);
});
