export const STATUSES = ['active', 'maintenance', 'retired'] as const;
export type Status = (typeof STATUSES)[number];

export interface Department {
  readonly id: number;
  readonly name: string;
  readonly code: string | null;
  readonly machineCount: number;
}

export interface Machine {
  readonly id: number;
  readonly name: string;
  readonly serial: string;
  readonly location: string;
  readonly status: Status;
  readonly departmentId: number | null;
  readonly departmentName: string | null;
}

export interface MachineInput {
  readonly name: string;
  readonly serial: string;
  readonly location: string;
  readonly status: Status;
  readonly departmentId: number | null;
}

export interface Version {
  readonly commit: string;
  readonly release: string;
  readonly schema: string | null;
}

/** One page of a list. */
export interface Page<T> {
  readonly items: readonly T[];
  readonly total: number;
}

/** A request that brought no answer of use. `unavailable`: the server is away, and the same request may work soon. */
export class ApiFailure extends Error {
  override readonly name = 'ApiFailure';
  readonly unavailable: boolean;

  constructor(message: string, unavailable: boolean) {
    super(message);
    this.unavailable = unavailable;
  }
}

const AWAY = 'The server is being updated; trying again.';
const TIMEOUT_MS = 10_000;

/**
 * Asks the API.
 *
 * @throws ApiFailure with a sentence for the reader.
 */
export async function request<T>(path: string, options: RequestOptions = {}): Promise<T> {
  const { method = 'GET', body, signal } = options;
  const timeout = AbortSignal.timeout(TIMEOUT_MS);
  let response: Response;
  try {
    response = await fetch(path, {
      method,
      signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
      ...(body === undefined
        ? {}
        : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
    });
  } catch (error) {
    if (signal?.aborted === true) throw error;
    throw new ApiFailure(AWAY, true);
  }
  if ([502, 503, 504].includes(response.status)) throw new ApiFailure(AWAY, true);
  const answer = await readBody(response);
  if (!response.ok)
    throw new ApiFailure(messageIn(answer) ?? `The server answered ${response.status}.`, false);
  return answer;
}

export interface RequestOptions {
  readonly method?: 'GET' | 'POST' | 'PATCH' | 'DELETE';
  readonly body?: unknown;
  readonly signal?: AbortSignal;
}

/** The caller knows the type of the answer; it comes from our own server. */
// oxlint-disable-next-line typescript/no-explicit-any
async function readBody(response: Response): Promise<any> {
  if (response.status === 204) return undefined;
  try {
    return await response.json();
  } catch {
    throw new ApiFailure('The server gave an answer that is not understood.', false);
  }
}

function messageIn(
  answer: { readonly error?: { readonly message?: string } } | undefined,
): string | undefined {
  return answer?.error?.message;
}
