import { Socket } from 'node:net';
import { Worker } from 'node:worker_threads';
import { Failures, readExpected } from './failures.mjs';
import { readStartup, Wire, writeStartup } from './wire.mjs';

/*
 * Loaded into each process of a migration, before it. Every database session that it opens in JavaScript gets, as it
 * begins, whatever its address or its own client say:
 * - the engine's name, by which the next run finds, and ends, what a killed process left at work;
 * - row_security off, so that PostgreSQL refuses what row-level security would hide;
 * - in a dry run, or where a file is only looked at, a default by which it may only read.
 * And it is watched what becomes of its queries. Plain JavaScript, since it is loaded before any loader.
 */
const name = process.env['HOLDFAST_SESSION_NAME'];
const home = process.env['HOLDFAST_DATABASE'];
/** In another database of the same server, where somebody else's migrations may be at work. */
const elsewhere = process.env['HOLDFAST_SESSION_NAME_ELSEWHERE'];
const isReadOnly = process.env['HOLDFAST_READ_ONLY'] === '1';
/** By this name the engine's own sessions, in this process, say that they see to themselves (session-name.ts). */
const ENGINE = 'holdfast engine';

/** What is known of the sessions here; for the script's guard and the engine's worker. */
export const sessions = {
  failures: new Failures(new Set()),
  hasConnected: false,
  wires: new Set(),
  /** @param {string} text the migration's */
  expect(text) {
    const expected = readExpected(text);
    sessions.failures = new Failures(expected);
    return expected;
  },
};
globalThis[Symbol.for('holdfast.sessions')] = sessions;

const watcher = {
  connected(wire) {
    sessions.hasConnected = true;
    sessions.failures.succeeded({ key: `connect ${wire.server}`, text: '' });
  },
  refused({ server }, { code, message }) {
    const text = `connect ${server}`;
    sessions.failures.failed({ key: text, text, codes: [code], message });
  },
  settled(wire, { text, key, error }) {
    const one = { text, key, place: `${wire.number} ${wire.transaction}` };
    if (error === undefined) sessions.failures.succeeded(one);
    else sessions.failures.failed({ ...one, codes: [error.code], message: error.message });
  },
};

const wires = new WeakMap();
let count = 0;

function begin(socket, chunk, parameters) {
  const isEngines = parameters.get('application_name') === ENGINE;
  const database = parameters.get('database') ?? parameters.get('user');
  parameters.set('application_name', database === home ? name : elsewhere);
  if (!isEngines) {
    if (!parameters.has('row_security')) parameters.set('row_security', 'off');
    if (isReadOnly) parameters.set('default_transaction_read_only', 'on');
    const server = `${socket.remoteAddress ?? ''} ${database}`;
    const wire = Object.assign(new Wire(server, watcher), { number: (count += 1) });
    wires.set(socket, wire);
    sessions.wires.add(wire);
    socket.once('close', () => wires.delete(socket));
  }
  return writeStartup(chunk, parameters);
}

if (name !== undefined) {
  const { write, push } = Socket.prototype;
  Socket.prototype.write = function (chunk, ...others) {
    const wire = wires.get(this);
    if (wire !== undefined) {
      if (chunk instanceof Uint8Array) wire.sent(chunk);
      return write.call(this, chunk, ...others);
    }
    const parameters = readStartup(chunk);
    return write.call(this, parameters === undefined ? chunk : begin(this, chunk, parameters), ...others);
  };
  Socket.prototype.push = function (chunk, ...others) {
    if (chunk !== null) wires.get(this)?.received(chunk);
    return push.call(this, chunk, ...others);
  };
}

// Not for processes that the migration starts.
const runner = process.env['HOLDFAST_RUNNER'];
delete process.env['HOLDFAST_RUNNER'];
if (runner !== undefined) endWith(Number(runner));

/**
 * Ends this process when its runner is gone, even in the middle of a loop: what it did later, another runner would not
 * know of. A thread looks, which needs no turn of ours.
 *
 * @param {number} parent
 */
function endWith(parent) {
  const look = `setInterval(() => { if (process.ppid !== ${parent}) process.kill(process.pid, 'SIGKILL'); }, 500);`;
  // Nothing of ours is loaded into it, and little memory is set aside.
  const options = { eval: true, env: {}, execArgv: [], resourceLimits: { maxOldGenerationSizeMb: 16 } };
  new Worker(look, options).unref();
}
