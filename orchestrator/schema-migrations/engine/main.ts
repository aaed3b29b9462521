/**
 * Prisma's schema engine as a program of ours, for hosts to which the native one cannot be downloaded: the official
 * WebAssembly engine behind the native engine's command line and protocol. Prisma's CLI starts it when
 * PRISMA_SCHEMA_ENGINE_BINARY names it. stdout carries the protocol and nothing else; the log is on stderr.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf } from '../../lib/errors.ts';
import { parseEngineArguments, type EngineArguments } from './arguments.ts';
import { runCliCommand } from './commands.ts';
import { endEverySession } from './engine-session.ts';
import { log } from './log.ts';
import { engineMethods } from './methods.ts';
import { linesOf } from './rpc.ts';
import { EngineServer, type CallMethod } from './server.ts';
import { lastPanicMessage, loadEngine } from './wasm.ts';

/** How long ending the database sessions may take; after it the process ends and the server finds out by itself. */
const stopTimeoutMs = 3000;
/** How long the CLI may take to read an error and close its side. */
const farewellMs = 1500;

const cliLeft = Promise.withResolvers<undefined>();
let server: EngineServer | undefined;
let isEnding = false;

/** Ends the sessions, then the process. */
async function stop(exitCode: number): Promise<void> {
  isEnding = true;
  setTimeout(() => process.exit(exitCode), stopTimeoutMs);
  await endEverySession();
  // An empty write calls back when all before it is out: stdout is a pipe, and process.exit does not wait for one.
  process.stdout.write('', () => process.exit(exitCode));
}

/**
 * Answers every open request with an error and ends, but only after the CLI has closed its side: one that finds its
 * engine gone before it has said goodbye exits 0 without a word (7.10's `stop()` waits for an exit that has been,
 * beside a timer that keeps nothing alive; measured).
 */
async function abandon(message: string, fields: Readonly<Record<string, unknown>> = {}): Promise<void> {
  isEnding = true;
  log('ERROR', message, fields);
  if (server === undefined) cliLeft.resolve(undefined);
  server?.failOpen(new Error(message));
  await Promise.all([endEverySession(), Promise.race([cliLeft.promise, sleep(farewellMs)])]);
  await stop(1);
}

/** Somebody wants us gone: not an error when nothing is left to answer, which is how the CLI ends each run. */
async function stopBecause(reason: string): Promise<void> {
  if (isEnding) return;
  if (server === undefined) return await abandon(`the schema engine was ${reason}`);
  const open = server.unanswered.join(', ');
  return open === '' ? await stop(0) : await abandon(`cannot finish ${open}: ${reason}`);
}

/**
 * A panic of the WebAssembly engine comes as an exception in no one's promise: the request would stay open, and the CLI
 * end with exit 0 and nothing applied (measured with engines and adapters of different versions). Exit 1, not the native
 * engine's 101: on that the CLI offers to send a report to Prisma and waits.
 */
async function crash(error: unknown): Promise<void> {
  // Sessions that are ended in the middle of a statement make their promises fail.
  if (isEnding) return;
  const backtrace = error instanceof Error ? error.stack : undefined;
  await abandon(`the schema engine crashed: ${lastPanicMessage() ?? messageOf(error)}`, { backtrace });
}

async function serve(call: CallMethod): Promise<void> {
  const answer: CallMethod = async (method, params) => {
    try {
      return await call(method, params);
    } catch (error) {
      // After a panic nothing of the engine may be called again.
      if (error instanceof WebAssembly.RuntimeError) await crash(error);
      throw error;
    }
  };
  const opened = new EngineServer(answer, (line) => process.stdout.write(line));
  server = opened;
  log('INFO', 'Starting schema engine RPC server');
  for await (const line of linesOf(process.stdin)) opened.receive(line);
  cliLeft.resolve(undefined);
  await stopBecause('the Prisma CLI closed the connection');
}

async function run(argv: readonly string[]): Promise<void> {
  let engineArguments: EngineArguments;
  try {
    engineArguments = parseEngineArguments(argv);
  } catch (error) {
    if (argv.includes('cli')) throw error;
    // As an answer, not as an exit: see `abandon`.
    return await serve(async () => await Promise.reject(error));
  }
  const { command, datasource } = engineArguments;
  if (command === 'serve') return await serve(engineMethods(engineArguments));
  if (command !== 'version') return await stop(await runCliCommand(command, datasource.url));
  const engine = await loadEngine();
  process.stdout.write(`schema-engine-cli ${engine.version()}\n`);
  return await stop(0);
}

// Whatever ends this process without a decision of ours, an event loop that ran empty included, is a failure.
process.exitCode = 1;
process.on('uncaughtException', (error) => void crash(error));
process.on('unhandledRejection', (error) => void crash(error));
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
  process.on(signal, () => void stopBecause(`ended by ${signal}`));
}
process.stdout.on('error', () => {
  cliLeft.resolve(undefined);
  void stopBecause('the Prisma CLI is gone');
});
process.stderr.on('error', () => undefined);
// Node's own warnings are plain text, which the CLI cannot read among the log lines.
process.removeAllListeners('warning');
process.on('warning', (warning) => log('WARN', warning.message));

await run(process.argv.slice(2)).catch(async (error: unknown) => await abandon(messageOf(error)));
