import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { inspect } from 'node:util';
import { readOutcome, readShouldRun, readVerification } from '../src/data-migrations/outcome.ts';

/* What migrations return: only a clear yes is a success. */

await describe('up()', async () => {
  const failures: readonly (readonly [unknown, RegExp])[] = [
    [false, /it returned false/],
    [new Error('boom'), /boom/],
    [{ error: 'boom' }, /boom/],
    [{ success: true, error: new Error('boom') }, /boom/],
    [{ success: false, error: { code: 1 } }, /\{ code: 1 \}/],
    [{ success: false }, /it returned \{"success":false\}/],
    [{ success: 'false' }, /success: "false", which is neither true nor false/],
    [{ success: 0 }, /success: 0, which is neither/],
    [{ success: null, error: 'x' }, /x/],
    [{ ok: false, left: 3n }, /it returned \{"ok":false,"left":"3"\}/],
  ];
  for (const [outcome, message] of failures)
    await test(`fails by ${message.source}`, () => assert.throws(() => readOutcome(outcome), message));

  await test('what is no verdict is a success, and rows are a whole number of them', () => {
    for (const outcome of [undefined, null, 0, 'done', [], { success: true, error: null }, { left: false }])
      assert.equal(readOutcome(outcome), undefined);
    assert.equal(readOutcome({ success: true, recordsProcessed: 5 }), 5);
    assert.equal(readOutcome({ recordsProcessed: 5n }), 5);
    assert.equal(readOutcome({ recordsProcessed: -5 }), undefined);
  });
});

await test('shouldRun(): true, false, or nothing of the kind', () => {
  assert.equal(readShouldRun(undefined), true);
  assert.equal(readShouldRun(false), false);
  for (const answer of [null, 'false', { shouldRun: false }, [{ count: 0n }], 1])
    assert.throws(() => readShouldRun(answer), /its shouldRun\(\) returned .*: return true or false/);
});

await describe('verify()', async () => {
  const wrong: readonly unknown[] = [
    ...[null, 0, '', {}, [], { ok: 'false' }, { ok: 0, valid: true }, { ok: false, success: true }],
    ...[new Error('orphans'), { passed: true }, [{ ok: false }], 'yes', 1n, Symbol('x')],
  ];
  for (const report of wrong)
    await test(`${inspect(report)} is found wrong`, () =>
      assert.throws(() => readVerification(report), /its verify\(\) found it wrong: ./));

  await test('true, nothing, or a report that says so', () => {
    assert.equal(readVerification(true), undefined);
    assert.equal(readVerification(undefined), undefined);
    assert.equal(readVerification({ ok: true, wrong: 0n }), '{"ok":true,"wrong":"0"}');
    assert.equal(readVerification({ success: true, valid: true }), '{"success":true,"valid":true}');
  });
});
