import { expect, test } from 'vitest';
import {
  hasCode,
  HoldfastError,
  InterruptedError,
  LockHeldError,
  messageOf,
  NotRestoredError,
  Refusal,
  UsageError,
} from '../../../orchestrator/lib/errors.ts';

test.each([
  [new UsageError('x'), 2],
  [new Refusal('x'), 3],
  [new LockHeldError('x'), 4],
  [new NotRestoredError('x'), 11],
  [new InterruptedError('SIGINT'), 130],
  [new InterruptedError('SIGTERM'), 143],
])('%o says what state the appliance is in', (error, exitCode) => {
  expect(error.exitCode).toBe(exitCode);
  expect(error).toBeInstanceOf(HoldfastError);
  expect(error.name).toBe(error.constructor.name);
});

test('the cause and the next command are kept', () => {
  const cause = new Error('why');
  const error = new Refusal('cannot', 'do that', cause);
  expect([error.cause, error.next]).toEqual([cause, 'do that']);
  expect('cause' in new Refusal('cannot')).toBe(false);
});

test('every thrown value has a message', () => {
  expect(messageOf(new Error('a'))).toBe('a');
  expect(messageOf('b')).toBe('b');
  expect(messageOf(undefined)).toBe('undefined');
  expect(messageOf(new AggregateError([new Error('a'), 'b']))).toBe('a; b');
});

test('a system error is told by its code, other values are not', () => {
  const error = Object.assign(new Error('x'), { code: 'ENOENT' });
  expect(hasCode(error, 'EACCES', 'ENOENT')).toBe(true);
  expect(hasCode(error, 'EACCES')).toBe(false);
  expect(hasCode({ code: 'ENOENT' }, 'ENOENT')).toBe(false);
});
