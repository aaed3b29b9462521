import { basename } from 'node:path';
import type { Event } from '../../orchestrator/pipeline/events.ts';
import type { StepName } from '../../orchestrator/pipeline/journal-entries.ts';
import type { Runtime } from '../../orchestrator/runtime/runtime.ts';

/** One failure to happen, once. What comes after it, the way back above all, runs unharmed. */
export interface Fault {
  /** Only in this step. */
  readonly step?: StepName;
  /** What is about to happen: `npm ci --no-audit`, `start api`, `stop web`. */
  readonly operation: RegExp;
  /** The how many-th of those that match; the first by default. */
  readonly nth?: number;
  /** Before its effect, or after it: then the work is done, and is told as failed all the same. */
  readonly when: 'before' | 'after';
  /** What is done to the appliance at that moment, by the release that is being installed or by somebody else. */
  readonly does?: () => unknown;
  /** Not failed, only `does`. */
  readonly fails?: false;
}

/** Where faults are planned. Wraps the one seam, `Runtime`; nothing else of the orchestrator is touched. */
export class FaultPlan {
  #fault: Fault | undefined;
  #seen = 0;
  #step: StepName | undefined;
  #fired = false;
  /** Everything that was asked of the runtime, in order. */
  readonly operations: string[] = [];

  plan(fault: Fault | undefined): void {
    this.#fault = fault;
    this.#seen = 0;
    this.#fired = false;
    this.#step = undefined;
    this.operations.length = 0;
  }

  /** Whether the planned fault has happened: a test whose fault never came proves nothing. */
  get fired(): boolean {
    return this.#fired;
  }

  readonly listen = (event: Event): void => {
    if (event.type === 'step' && event.state === 'started') this.#step = event.step;
  };

  wrap(runtime: Runtime): Runtime {
    return {
      ...runtime,
      run: async (command, options) =>
        await this.#pass(
          [basename(command.file), ...command.args].join(' '),
          async () => await runtime.run(command, options),
        ),
      startService: async (service) =>
        await this.#pass(`start ${service.name}`, async () => await runtime.startService(service)),
      stopService: async (service, policy) =>
        await this.#pass(`stop ${service.name}`, async () => await runtime.stopService(service, policy)),
    };
  }

  async #pass<T>(operation: string, act: () => Promise<T>): Promise<T> {
    this.operations.push(operation);
    const hit = this.#matches(operation) ? this.#fault : undefined;
    if (!hit) return await act();
    this.#fired = true;
    if (hit.when === 'before') {
      await hit.does?.();
      if (hit.fails === false) return await act();
      throw new Error(`injected: ${operation} fails before its effect`);
    }
    const result = await act();
    await hit.does?.();
    if (hit.fails === false) return result;
    throw new Error(`injected: ${operation} fails after its effect`);
  }

  #matches(operation: string): boolean {
    const fault = this.#fault;
    if (!fault || this.#fired || (fault.step !== undefined && fault.step !== this.#step)) return false;
    if (!fault.operation.test(operation)) return false;
    this.#seen += 1;
    return this.#seen === (fault.nth ?? 1);
  }
}
