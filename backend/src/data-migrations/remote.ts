import type { Request } from './arguments.ts';
import { EXIT, Refusal } from './refusal.ts';
import type { Report } from './reporter.ts';

export async function runRemotely(
  _request: Request,
  _backendUrl: string,
  _report: Report,
  _signal: AbortSignal,
): Promise<void> {
  throw new Refusal(EXIT.refused, 'not yet');
}
