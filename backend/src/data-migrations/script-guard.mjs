import { ChildProcess } from 'node:child_process';
import { readFileSync, writeSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import threads from 'node:worker_threads';
import { sessions } from './session-guard.mjs';
import { watchSqlite } from './sqlite-watch.mjs';

/*
 * Loaded into a migration that is a script of its own, before it: when the engine is gone, or tells it to stop, the
 * script ends too; and what it did not do, although it ended as if it had, is told. Plain JavaScript, since it is loaded
 * before any loader.
 */
const fd = Number.parseInt(process.env['HOLDFAST_CHANNEL'] ?? '', 10);
const isGuarded = process.env['HOLDFAST_CHANNEL']?.endsWith(' guarded') ?? false;
// Processes and threads that the script starts load this too; the channel is not theirs.
delete process.env['HOLDFAST_CHANNEL'];

const seen = { printed: undefined, hasReached: false };
const reach = () => {
  seen.hasReached = true;
};

/** An error among what is printed: itself, or as a property; or a text that one was put into, with its name. */
function findError(value) {
  if (value instanceof Error) return value;
  if (typeof value === 'string')
    return /(?:^|[\s:([])[A-Z]\w*Error: \S/.test(value) ? new Error(value) : undefined;
  if (typeof value !== 'object' || value === null) return undefined;
  return Object.values(value).find((one) => one instanceof Error);
}

function watchConsole(method) {
  const print = console[method];
  console[method] = (...args) => {
    for (const one of args) seen.printed ??= findError(one);
    return print.apply(console, args);
  };
}

/** Whether it got anywhere at all: to a server, into another process or thread, or into a library that is not JavaScript. */
function watchReach() {
  const { connect } = Socket.prototype;
  Socket.prototype.connect = function (...args) {
    this.once('connect', reach);
    return connect.apply(this, args);
  };
  const { spawn } = ChildProcess.prototype;
  ChildProcess.prototype.spawn = function (...args) {
    reach();
    return spawn.apply(this, args);
  };
  const { dlopen } = process;
  process.dlopen = (...args) => {
    reach();
    return dlopen.apply(process, args);
  };
  const { Worker } = threads;
  threads.Worker = class extends Worker {
    constructor(file, options) {
      // The loader has one of its own.
      if (!String(file).includes('/esbuild/')) reach();
      super(file, options);
    }
  };
  syncBuiltinESMExports();
}

const describe = (error) =>
  String(error?.message || error?.code || error)
    .replaceAll(/\s+/g, ' ')
    .trim();

/** Why an end with exit 0 is none with success; undefined where nothing speaks against it. */
function findProblem(expected) {
  const failed = sessions.failures.describe();
  if (failed !== undefined) return `it ended with exit 0, but ${failed}`;
  if (seen.printed !== undefined)
    return `it printed an error (${describe(seen.printed)}), and ended with exit 0: throw it on, or end with process.exitCode = 1; of what is no failure print the message alone`;
  const underWay = [...sessions.wires].reduce((sum, wire) => sum + wire.underWay, 0);
  if (underWay > 0)
    return `it ended the process while ${underWay} of its queries were under way: put "await" before each, and take process.exit() out`;
  if (sessions.hasConnected || seen.hasReached || expected.has('no-database')) return undefined;
  if (isGuarded)
    return 'it did nothing: what it checks before it calls its function was not true here. Call it without a condition, or compare import.meta.url with pathToFileURL(process.argv[1]).href';
  return 'it did nothing: it ended with exit 0 and never got to a database. Does it wait for an argument, or for somebody who confirms? It is run without (or with "up"); what is meant so it says in a comment: holdfast:expected no-database';
}

/** What the script says in its comments that it expects. */
function readOwn() {
  try {
    const [, own] = process.argv;
    return sessions.expect(readFileSync(own?.startsWith('file:') ? fileURLToPath(own) : own, 'utf8'));
  } catch {
    return sessions.expect('');
  }
}

if (fd > 0) {
  const expected = readOwn();
  ['error', 'log', 'warn', 'info', 'debug'].forEach(watchConsole);
  const channel = new Socket({ fd });
  watchReach();
  watchSqlite(sessions.failures, reach);
  process.on('exit', (code) => {
    const problem = code === 0 ? findProblem(expected) : undefined;
    if (problem === undefined) return;
    process.exitCode = 1;
    try {
      writeSync(fd, `${JSON.stringify({ type: 'failed', error: problem })}\n`);
    } catch {
      // The engine is gone, or does not listen: the exit code says it too.
    }
  });

  let heard = '';
  channel.setEncoding('utf8').on('data', (text) => {
    const lines = (heard + text).split('\n');
    heard = lines.pop() ?? '';
    if (lines.some((line) => JSON.parse(line).type === 'abort')) process.kill(process.pid, 'SIGTERM');
  });
  channel.on('error', () => {});
  channel.on('close', () => process.exit(1));
  // The channel alone must not keep a finished script alive.
  channel.unref();
}
