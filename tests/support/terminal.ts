import { spawn } from 'node:child_process';

/** How a command at a terminal ended. */
export interface TerminalEnd {
  readonly exitCode: number | null;
  /** Everything that it showed. */
  readonly said: string;
  /** Whether the question came. */
  readonly isAnswered: boolean;
}

/** A command at a terminal of its own, which script(1) gives it: somebody types an answer there when he is asked. */
export async function atTerminal(
  { words, ...how }: { words: readonly string[]; cwd?: string; env?: Readonly<Record<string, string>> },
  question: RegExp,
  answer: string,
): Promise<TerminalEnd> {
  const quoted = words.map((word) => `'${word}'`).join(' ');
  const terminal = spawn('script', ['--quiet', '--return', '--command', quoted, '/dev/null'], {
    ...(how.cwd === undefined ? {} : { cwd: how.cwd }),
    env: { ...process.env, TERM: 'dumb', ...how.env },
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  let said = '';
  let isAnswered = false;
  terminal.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    said += chunk;
    if (isAnswered || !question.test(said)) return;
    isAnswered = true;
    terminal.stdin.write(`${answer}\n`);
  });
  const exitCode = await new Promise<number | null>((resolve) => terminal.once('close', resolve));
  return { exitCode, said, isAnswered };
}
