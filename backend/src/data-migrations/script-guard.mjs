import { ChildProcess } from 'node:child_process';
import { writeSync } from 'node:fs';
import { Socket } from 'node:net';
import { clients } from './session-guard.mjs';

/*
 * Loaded into a migration that is a script of its own, before it: when the engine is gone, or tells it to stop, the
 * script ends too; and what it did not do, although it ended as if it had, is told. Plain JavaScript, since it is loaded
 * before any loader.
 */
const fd = Number.parseInt(process.env['HOLDFAST_CHANNEL'] ?? '', 10);
const isGuarded = process.env['HOLDFAST_CHANNEL']?.endsWith(' guarded') ?? false;
// Processes and threads that the script starts load this too; the channel is not theirs.
delete process.env['HOLDFAST_CHANNEL'];

/** What a script does that wants a thing which is there already, and lives with it. */
const ALREADY_THERE = /^(?:23505|42P0[4-7]|42701|42710|42723)$/;
/** These say nothing of how the work went. */
const NO_WORK =
  /^\s*(?:BEGIN|START|COMMIT|END|ROLLBACK|ABORT|SAVEPOINT|RELEASE|SET|SHOW|DEALLOCATE|DISCARD)\b/i;

const seen = { underWay: 0, failed: undefined, printed: undefined, hasReached: false };

function watchQueries(Client) {
  const { query } = Client.prototype;
  Client.prototype.query = function (...args) {
    const text = typeof args[0] === 'string' ? args[0] : String(args[0]?.text ?? '');
    let isOver = false;
    const settle = (error) => {
      if (isOver) return;
      isOver = true;
      seen.underWay -= 1;
      if (error) seen.failed = ALREADY_THERE.test(error.code) ? undefined : error;
      else if (!NO_WORK.test(text)) seen.failed = undefined;
    };
    // What has a way of its own to tell its rows (a cursor, a stream) is left alone.
    if (typeof args[0]?.submit === 'function') return query.apply(this, args);
    seen.underWay += 1;
    const place = args.findLastIndex((one) => typeof one === 'function');
    const told = (callback) => (error, result) => {
      settle(error);
      return callback(error, result);
    };
    if (place >= 0) args[place] = told(args[place]);
    else if (typeof args[0]?.callback === 'function')
      args[0] = Object.assign(Object.create(args[0]), { callback: told(args[0].callback) });
    const result = query.apply(this, args);
    if (typeof result?.then !== 'function') return result;
    // The one that is returned is the only one: another branch would hide a failure that nobody handles.
    return result.then(
      (value) => {
        settle();
        return value;
      },
      (error) => {
        settle(error);
        throw error;
      },
    );
  };
}

function watchConsole(method) {
  const print = console[method];
  console[method] = (...args) => {
    seen.printed ??= args.find((one) => one instanceof Error);
    return print.apply(console, args);
  };
}

function watchReach(prototype, method) {
  const original = prototype[method];
  prototype[method] = function (...args) {
    seen.hasReached = true;
    return original.apply(this, args);
  };
}

const describe = (error) =>
  String(error?.message || error?.code || error)
    .replaceAll(/\s+/g, ' ')
    .trim();

/** Why an end with exit 0 is none with success; undefined where nothing speaks against it. */
function findProblem() {
  if (seen.failed !== undefined)
    return `its last query failed (${describe(seen.failed)}), and it ended with exit 0: throw the error on, or end with process.exitCode = 1`;
  if (seen.printed !== undefined)
    return `it printed an error (${describe(seen.printed)}), and ended with exit 0: throw it on, or end with process.exitCode = 1; of what is no failure print the message alone`;
  if (seen.underWay > 0)
    return `it ended the process while ${seen.underWay} of its queries were under way: put "await" before each, and take process.exit() out`;
  if (isGuarded && !seen.hasReached)
    return 'it did nothing: what it checks before it calls its function was not true here. Call it without a condition, or compare import.meta.url with pathToFileURL(process.argv[1]).href';
  return undefined;
}

if (fd > 0) {
  clients.forEach(watchQueries);
  ['error', 'log'].forEach(watchConsole);
  watchReach(Socket.prototype, 'connect');
  watchReach(ChildProcess.prototype, 'spawn');
  process.on('exit', (code) => {
    const problem = code === 0 ? findProblem() : undefined;
    if (problem === undefined) return;
    process.exitCode = 1;
    try {
      writeSync(fd, `${JSON.stringify({ type: 'failed', error: problem })}\n`);
    } catch {
      // The engine is gone, or does not listen: the exit code says it too.
    }
  });

  const channel = new Socket({ fd });
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
