import { describe, expect, test } from 'vitest';
import { verifySameBranch } from '../../../orchestrator/commands/rollback.ts';
import { refusalOf } from '../support/refusal.ts';

describe('a snapshot', () => {
  test.each(['refs/heads/main', undefined])('of where the checkout is (%s) may be gone back to', (ref) => {
    expect(() => verifySameBranch({ id: 's1', ref }, ref)).not.toThrow();
  });

  test.each([
    ['refs/heads/main', undefined, 'it was made on main, the checkout is on a detached HEAD', '-B main,'],
    ['refs/heads/a b', 'refs/heads/main', 'it was made on a b, the checkout is on main', "-B 'a b',"],
    [undefined, 'refs/heads/main', 'it was made on a detached HEAD, the checkout is on main', '--detach,'],
  ])('of %s is refused on %s, with how to get there', async (ref, here, what, next) => {
    const refusal = await refusalOf(() => verifySameBranch({ id: 's1', ref }, here));
    expect(refusal.message).toBe(`cannot roll back to s1: ${what}`);
    expect(refusal.next).toContain(`git checkout ${next}`);
  });
});
