import { useState } from 'react';
import { ApiFailure, request, type RequestOptions } from './api.ts';

/** Sends a change once; what the reader entered stays in place when it fails. */
export interface Submit {
  readonly busy: boolean;
  readonly problem: string;
  readonly send: (path: string, options: RequestOptions) => void;
}

export function useSubmit(onDone: () => void): Submit {
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState('');

  const submit = async (path: string, options: RequestOptions): Promise<void> => {
    setBusy(true);
    setProblem('');
    try {
      await request(path, options);
      onDone();
    } catch (error) {
      const away = error instanceof ApiFailure && error.unavailable;
      const message = error instanceof Error ? error.message : String(error);
      setProblem(away ? 'The server is being updated. Nothing was saved; try again in a moment.' : message);
    } finally {
      setBusy(false);
    }
  };

  return { busy, problem, send: (path, options) => void submit(path, options) };
}
