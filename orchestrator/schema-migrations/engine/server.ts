import { isRecord } from './is-record.ts';
import { encodeMessage, parseRequest, toRpcError, type RequestId } from './rpc.ts';

/** Runs one method of the protocol; rejects with the error to answer. */
export type CallMethod = (method: string, params: unknown) => Promise<unknown>;

/**
 * Answers the CLI's requests one after the other: the WebAssembly engine must not be entered twice.
 *
 * Every request is answered exactly once, with a result or an error. An engine that leaves one open and ends with
 * exit 0 makes the CLI report success with nothing applied (measured).
 */
export class EngineServer {
  readonly #call: CallMethod;
  readonly #write: (line: string) => void;
  readonly #open = new Map<RequestId, string>();
  #queue = Promise.resolve();
  #prints = 0;

  constructor(call: CallMethod, write: (line: string) => void) {
    this.#call = call;
    this.#write = write;
  }

  /** The methods that have not been answered yet. */
  get unanswered(): readonly string[] {
    return [...this.#open.values()];
  }

  /** Takes one line from the CLI; the answer follows when it is its turn. */
  receive(line: string): void {
    const request = parseRequest(line);
    if (request === undefined) return;
    const { id, method, params } = request;
    this.#open.set(id, method);
    this.#queue = this.#queue.then(async () => await this.#answer(id, method, params));
  }

  /** Answers everything that is still open with this error, because nothing will be done any more. */
  failOpen(error: unknown): void {
    for (const id of this.#open.keys()) this.#send(id, { error: toRpcError(error) });
  }

  async #answer(id: RequestId, method: string, params: unknown): Promise<void> {
    try {
      const result = await this.#call(method, params);
      this.#print(result);
      this.#send(id, { result: result ?? null });
    } catch (error) {
      this.#send(id, { error: toRpcError(error) });
    }
  }

  #send(id: RequestId, message: Readonly<Record<string, unknown>>): void {
    // After `failOpen` the method may still come to its end: the first answer stands.
    if (!this.#open.delete(id)) return;
    this.#write(encodeMessage({ id, ...message }));
  }

  /** The native engine sends what it has to show in a request of its own; this one returns it as `stdout`. */
  #print(result: unknown): void {
    if (!isRecord(result) || typeof result['stdout'] !== 'string') return;
    this.#prints += 1;
    const content = result['stdout'].replace(/\n$/, '');
    this.#write(encodeMessage({ id: `print-${this.#prints}`, method: 'print', params: { content } }));
  }
}
