/*
 * What leaves the session that a dry run has: through another connection of the server's, or into its files. No rollback
 * takes that back.
 */

const WAYS: readonly RegExp[] = [
  /\bdblink(?:_\w+)?"?\s*\(/i,
  /\bpg_background_launch\s*\(/i,
  /\blo_export"?\s*\(/i,
  /\bpg_file_(?:write|rename|unlink|sync)"?\s*\(/i,
  /\bpg_(?:create_(?:physical|logical)_replication_slot|drop_replication_slot|create_restore_point)"?\s*\(/i,
  /\bpg_(?:switch_wal|reload_conf|rotate_logfile|stat_reset\w*)"?\s*\(/i,
  /\bCOPY\b[\s\S]*\bTO\s+(?:PROGRAM\s*)?(?:E|N|U&)?(?:'|\$\w*\$)/i,
];

/** The words of `sql` that reach out of its session; undefined where there are none. In a text they count as well. */
export function findWayOut(sql: string): string | undefined {
  const bare = sql.replaceAll(/\/\*[\s\S]*?\*\/|--.*/g, ' ');
  for (const way of WAYS) {
    const found = (way.exec(sql) ?? way.exec(bare))?.[0];
    if (found !== undefined) return found.replaceAll(/\s+/g, ' ').slice(0, 60);
  }
  return undefined;
}

export function describeWayOut(way: string): Error {
  return new Error(
    `it cannot be tried: it says "${way}", which reaches out of the session that a dry run takes back, and was not sent. Only a run for real does it`,
  );
}

/** Extensions by which a function or a trigger, which nobody reads, reaches out. */
export const EXTENSIONS_OUT = ['dblink', 'pg_background'] as const;
