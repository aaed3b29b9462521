import { join } from 'node:path';
import type { Appliance } from '../appliance/appliance.ts';
import { exitCodes, HoldfastError, InterruptedError, Refusal } from '../lib/errors.ts';
import { lastLines } from '../runtime/runtime.ts';
import { dataMigrationsCommand, nextAfterDataFailure } from '../steps/migrate-data.ts';
import type { Session } from './session.ts';

export interface DataCall {
  /** As it is typed after "data". */
  readonly command: string;
  /** The flags of run.sh. */
  readonly args: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  /** What the result says beside, for programs and for people. */
  readonly more?: Readonly<Record<string, unknown>>;
  readonly lastWord?: string;
}

/** @throws Refusal with the lines to add, where appliance.yaml names no data migrations */
export function verifyConfigured({ config, file }: Appliance): void {
  if (config.prisma?.dataMigrations) return;
  const folder = join(config.prisma?.dir ?? '.', 'prisma', 'data-migrations');
  throw new Refusal(
    `cannot work on data migrations: ${file} names none`,
    `add these lines to it, with the folder that holds run.sh:\nprisma:\n  dataMigrations: { dir: ${folder} }`,
  );
}

/** What the exit code of run.sh is in our words: its refusals are ours, whatever it fails with is 1. */
export function exitCodeFor(exitCode: number): number {
  switch (exitCode) {
    case 0:
      return exitCodes.ok;
    case 2:
      return exitCodes.refused;
    case exitCodes.locked:
    case exitCodes.interrupted:
    case exitCodes.terminated:
      return exitCode;
    default:
      return exitCodes.internal;
  }
}

/**
 * Calls the appliance's own run.sh, passes on what it says as it says it, and tells how it ended. Gives the exit code.
 *
 * @param appliance whose commands end with the operator's signal
 * @throws HoldfastError (130, 143) when that came
 */
export async function callDataMigrations(
  session: Session,
  appliance: Appliance,
  call: DataCall,
): Promise<number> {
  const { ui } = session;
  const args = ui.isJson ? [...call.args, '--json'] : call.args;
  const relay = ui.isJson ? relayJson(session) : { onLine: (line: string) => ui.print(line), told: {} };
  const { environment } = call;
  const ended = await appliance.runtime
    .run(dataMigrationsCommand(appliance, appliance.config, { args, environment }), {
      allowFailure: true,
      onLine: relay.onLine,
    })
    .catch((error: unknown) => {
      throw error instanceof InterruptedError ? interrupted(error) : error;
    });
  const exitCode = exitCodeFor(ended.exitCode);
  const goOn = async () =>
    call.args.includes('--dry-run') ? 'try it again' : await nextAfterDataFailure(appliance);
  const next = exitCode === exitCodes.internal ? `mend the cause, then ${await goOn()}` : undefined;
  const result = {
    ...relay.told,
    ...call.more,
    ...(exitCode === 0 || 'error' in relay.told ? {} : { error: lastLines(ended.stderr || ended.stdout) }),
    ...(next === undefined ? {} : { next }),
    ...{ type: 'result' as const, ok: exitCode === 0, exitCode, command: `data ${call.command}` },
  };
  const text = [...(next === undefined ? [] : [`  ${ui.paint.bold('Next:')} ${next}`]), call.lastWord ?? '']
    .filter((line) => line !== '')
    .join('\n');
  // Its own lines were the answer.
  if (ui.isJson || text !== '') ui.result(result, text);
  return exitCode;
}

/** Its events as ours; its last word, or the one object that it answers with, becomes a part of the result. */
function relayJson({ ui }: Session): { onLine: (line: string) => void; told: Record<string, unknown> } {
  const told: Record<string, unknown> = {};
  const onLine = (line: string) => {
    const event = parseObject(line);
    if (event === undefined) ui.listener({ type: 'say', message: line });
    else if (typeof event['type'] !== 'string' || event['type'] === 'result') Object.assign(told, event);
    else ui.listener({ type: 'data-migrations', event });
  };
  return { onLine, told };
}

function parseObject(line: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(line);
    const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
    return isObject ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

function interrupted({ message, exitCode }: InterruptedError): HoldfastError {
  return new HoldfastError(`${message}: what was done by then is recorded`, {
    exitCode,
    next: './run.sh data status; ./run.sh data run goes on with it',
  });
}
