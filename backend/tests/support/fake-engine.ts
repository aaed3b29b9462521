import type { EngineEvent, MigrationEngine, Outcome } from '../../src/migration-engine.ts';

export const DONE: Outcome = { ok: true, message: 'Data migrations: done.', answer: undefined };

/** What the fake tells, and how it then ends. */
export interface Script {
  readonly events?: readonly EngineEvent[];
  readonly outcome?: Outcome;
  /** Waited for between the events and the end. */
  readonly until?: Promise<void>;
}

export interface FakeEngine extends MigrationEngine {
  /** The arguments of each run, in order. */
  readonly asked: string[][];
  finished: number;
}

/** Stands in for the engine's process. */
export function createFakeEngine(play: (args: readonly string[]) => Script = () => ({})): FakeEngine {
  const engine: FakeEngine = {
    asked: [],
    finished: 0,
    async run(args, onEvent = () => {}) {
      engine.asked.push([...args]);
      const { events = [], outcome = DONE, until } = play(args);
      for (const event of events) onEvent(event);
      await until;
      engine.finished += 1;
      return outcome;
    },
    stop() {},
  };
  return engine;
}
