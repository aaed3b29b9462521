import { createRequire } from 'node:module';
import path from 'node:path';
import { Worker } from 'node:worker_threads';

/*
 * Loaded into each process of a migration, before it: all of its database sessions get the engine's name, whatever its
 * address or its own clients call them. By that name the next run finds, and ends, what a killed process left at work.
 * Plain JavaScript, since it is loaded before any loader.
 */

/** The classes of the clients that the migration may use: its own `pg`, and that of Prisma's adapter. */
export const clients = new Set(['.', '@prisma/adapter-pg'].flatMap(findClient));

/** @param {string} user a package of this folder that may have a `pg` of its own */
function findClient(user) {
  const require = createRequire(path.join(process.cwd(), 'package.json'));
  try {
    const from = user === '.' ? require : createRequire(require.resolve(user));
    return [from('pg').Client];
  } catch {
    return [];
  }
}

const name = process.env['HOLDFAST_SESSION_NAME'];
for (const Client of name === undefined ? [] : clients) {
  const { connect } = Client.prototype;
  Client.prototype.connect = function (...args) {
    this.connectionParameters.application_name = name;
    return connect.apply(this, args);
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
