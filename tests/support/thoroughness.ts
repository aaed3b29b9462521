/** Whether every combination is tried, as `./run.sh test faults` and `integration` do; everyday runs try each step in one of its ways. */
export const isThorough = process.env['HOLDFAST_TEST_EVERY_INSTANT'] === '1';

/**
 * Ways for each of these in turn: all of them when thorough, otherwise one, the next way for the next one, so that each
 * is tried in some way and each way on some.
 */
export function inTurn<One, Way>(all: readonly One[], ways: readonly Way[]): (readonly [One, Way])[] {
  return all.flatMap((one, index) =>
    ways.filter((_, way) => isThorough || way === index % ways.length).map((way) => [one, way] as const),
  );
}

/** One in so many of these, from the first on; all of them when thorough. For places that are much alike. */
export function oneIn<One>(many: number, all: readonly One[]): readonly One[] {
  return all.filter((_, index) => isThorough || index % many === 0);
}
