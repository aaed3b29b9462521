import { vi } from 'vitest';

/** What a piece of work writes to standard output and standard error. */
export async function captured(work: () => unknown): Promise<{ out: string; err: string }> {
  let [out, err] = ['', ''];
  const stdout = vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    out += String(text);
    return true;
  });
  const stderr = vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
    err += String(text);
    return true;
  });
  try {
    await work();
  } finally {
    stdout.mockRestore();
    stderr.mockRestore();
  }
  return { out, err };
}

/** Paint that leaves every text as it is. */
const plainText = (text: string): string => text;
export const plain = { bold: plainText, dim: plainText, red: plainText, green: plainText, yellow: plainText };
