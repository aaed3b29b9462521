import type { Driver, Listener, ResultEvent } from '../pipeline/events.ts';

/** How a command speaks: to a terminal, in plain lines, or in NDJSON. */
export interface Ui {
  readonly isJson: boolean;
  readonly driver: Driver;
  readonly listener: Listener;
  /** Lines for the operator; nothing with --json. */
  print(text: string): void;
  /** Something that is going on; standard error, nothing with --json. */
  say(line: string): void;
  /** The last word of a command: text for people, one line of JSON for programs. */
  result(event: ResultEvent, text: string): void;
  /** Asks for a yes. True with --yes; without a terminal a refusal of the caller's. */
  confirm(question: string): Promise<boolean>;
  /** Whether somebody is there to be asked. */
  readonly canAsk: boolean;
  /** What somebody at a terminal types; undefined where nobody can, whatever --yes says. */
  ask(question: string): Promise<string | undefined>;
  readonly paint: Paint;
}

/** Colours that vanish where nobody wants them. */
export interface Paint {
  bold(text: string): string;
  dim(text: string): string;
  red(text: string): string;
  green(text: string): string;
  yellow(text: string): string;
}
