import { readFile } from 'node:fs/promises';

/** Which code this is, as stamped when it was built. */
export interface BuildInfo {
  readonly commit: string;
  readonly release: string;
}

const UNKNOWN = 'unknown';

/**
 * Reads the stamp beside the built code; "unknown" when there is none (running from `src`).
 *
 * Call it once at the start and keep the answer: an update replaces the file beneath a process that still runs the old
 * code, and that process must go on answering with its own commit.
 */
export async function readBuildInfo(): Promise<BuildInfo> {
  try {
    const text = await readFile(new URL('./build-info.json', import.meta.url), 'utf8');
    const stamp: Partial<Record<keyof BuildInfo, unknown>> = JSON.parse(text);
    return { commit: textOrUnknown(stamp.commit), release: textOrUnknown(stamp.release) };
  } catch {
    return { commit: UNKNOWN, release: UNKNOWN };
  }
}

function textOrUnknown(value: unknown): string {
  return typeof value === 'string' ? value : UNKNOWN;
}
