import type { Runtime } from '../runtime/runtime.ts';
import type { DatabaseReader } from './database-text.ts';
import type { Cli } from './holdfast-cli.ts';
import type { Ledger } from './ledger.ts';
import type { Ports } from './releases/release-1.ts';
import type { Sandbox } from './sandbox.ts';
import type { Teller } from './teller.ts';

/** What every scene of the demo plays with. */
export interface Stage {
  readonly sandbox: Sandbox;
  readonly ports: Ports;
  readonly runtime: Runtime;
  readonly cli: Cli;
  readonly database: DatabaseReader;
  readonly ledger: Ledger;
  readonly tell: Teller;
  readonly signal: AbortSignal;
}

/** How one of the runs went, as the result names it. */
export interface RunReport {
  /** For people: "update to v2.0.0". */
  readonly title: string;
  readonly outcome: string;
  readonly failedStep?: string;
  readonly totalMs: number;
  readonly outageMs: number;
  /** Acknowledged writes that could not be found again. */
  readonly lostWrites: number;
  /** Where something was restored: whether all is as it was. */
  readonly identical?: boolean;
  readonly rowsChecked: number;
  /** After a rollback: acknowledged writes newer than its snapshot, all found in the safety snapshot. */
  readonly setAside?: number;
  /** What was not as promised. */
  readonly problems: readonly string[];
}
