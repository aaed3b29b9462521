import { createRequire } from 'node:module';
import path from 'node:path';

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
