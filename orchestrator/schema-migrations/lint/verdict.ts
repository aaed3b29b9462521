import type { Finding } from './finding.ts';
import type { Linted } from './lint.ts';

/** What the findings come to. */
export interface Verdict {
  /** Nothing that a vendor's check should stop at: no error that is not accepted. */
  readonly ok: boolean;
  readonly errors: number;
  readonly warnings: number;
  readonly accepted: number;
  /** What takes data away, and was accepted by nobody. */
  readonly destructive: readonly Finding[];
}

export function judge(linted: readonly Linted[]): Verdict {
  const findings = linted.flatMap((one) => one.findings);
  const open = findings.filter(({ accepted }) => accepted === undefined);
  const count = (severity: Finding['severity']) => open.filter((one) => one.severity === severity).length;
  const errors = count('error');
  return {
    ...{ ok: errors === 0, errors, warnings: count('warning'), accepted: findings.length - open.length },
    destructive: open.filter(({ destructive }) => destructive),
  };
}
