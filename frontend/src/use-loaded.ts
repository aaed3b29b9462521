import { useCallback, useEffect, useRef, useState } from 'react';
import { ApiFailure, request } from './api.ts';

const RETRY_MS = 3_000;

/** What is known of a resource. Data stays while it is loaded again, and while the server is away. */
export interface Loaded<T> {
  readonly data: T | undefined;
  readonly failure: ApiFailure | undefined;
  readonly reload: () => void;
}

/**
 * Loads a path, again whenever it changes or `reload` is called, and every few seconds while the server is away.
 *
 * @param refreshMs load again this often while all is well; never when left out
 */
export function useLoaded<T>(path: string, refreshMs?: number): Loaded<T> {
  const [data, setData] = useState<T>();
  const [failure, setFailure] = useState<ApiFailure>();
  const again = useRef(() => {});
  const reload = useCallback(() => again.current(), []);

  useEffect(() => {
    let controller = new AbortController();
    let timer: number | undefined;
    const stop = (): void => {
      controller.abort();
      window.clearTimeout(timer);
    };
    const load = async (): Promise<void> => {
      stop();
      const { signal } = (controller = new AbortController());
      let nextMs = refreshMs;
      try {
        const answer = await request<T>(path, { signal });
        if (signal.aborted) return;
        setData(answer);
        setFailure(undefined);
      } catch (error) {
        if (signal.aborted) return;
        const known = error instanceof ApiFailure ? error : new ApiFailure(String(error), false);
        setFailure(known);
        if (known.unavailable) nextMs = RETRY_MS;
      }
      if (nextMs !== undefined) timer = window.setTimeout(() => void load(), nextMs);
    };
    again.current = () => void load();
    void load();
    return stop;
  }, [path, refreshMs]);

  return { data, failure, reload };
}
