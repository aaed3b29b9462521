/*
 * Watches Node's own SQLite in a script: every other library for SQLite is not JavaScript, and only its being loaded is
 * seen. Plain JavaScript, since it is loaded before any loader.
 */

/** @param {import('./failures.mjs').Failures} failures @param {() => void} reach is told that a file was opened */
export function watchSqlite(failures, reach) {
  const sqlite = process.getBuiltinModule('node:sqlite');
  if (sqlite === undefined) return;
  const texts = new WeakMap();
  const watch = (prototype, methods, textOf) => {
    for (const method of methods) {
      const original = prototype[method];
      if (typeof original !== 'function') continue;
      prototype[method] = function (...args) {
        reach();
        const text = String(textOf(this, args));
        const one = { text, key: [text, ...args.map(String)].join('\0') };
        let result;
        try {
          result = original.apply(this, args);
        } catch (error) {
          if (error?.code === 'ERR_SQLITE_ERROR')
            failures.failed({ ...one, codes: [], message: error.message });
          throw error;
        }
        failures.succeeded(one);
        if (method === 'prepare') texts.set(result, text);
        return result;
      };
    }
  };
  watch(sqlite.DatabaseSync.prototype, ['exec', 'prepare'], (_, [text]) => text);
  watch(sqlite.StatementSync.prototype, ['run', 'get', 'all'], (statement) => texts.get(statement) ?? '');
}
