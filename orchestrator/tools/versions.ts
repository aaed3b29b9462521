import semver from 'semver';
import type { Runtime } from '../runtime/runtime.ts';
import { fileAt } from './git-facts.ts';
import * as git from './git.ts';

/** A release that can be gone to. */
export interface Release {
  readonly tag: string;
  readonly version: string;
  readonly commit: string;
}

/** Releases among the tags that a commit contains or is, oldest first: those that are called by a version. */
export async function releasesWithin(
  runtime: Runtime,
  directory: string,
  commit: string,
): Promise<Release[]> {
  const { stdout, exitCode } = await runtime.run(git.mergedTags(directory, commit), { allowFailure: true });
  if (exitCode !== 0) return [];
  const releases = stdout.split('\n').flatMap((line) => {
    const [ref = '', object = '', peeled = ''] = line.split(' ');
    const tag = ref.replace(/^refs\/(?:holdfast\/remote\/)?tags\//, '');
    const version = semver.valid(tag) ?? semver.valid(/[@/-](v?\d+\.\d+\.\d+.*)$/.exec(tag)?.[1]);
    return version === null ? [] : [{ tag, version, commit: peeled === '' ? object : peeled }];
  });
  return releases.toSorted((one, other) => semver.compare(one.version, other.version));
}

/**
 * The version of a commit: its newest release, else what its package.json says. Undefined where neither tells.
 */
export async function versionAt(
  runtime: Runtime,
  directory: string,
  commit: string,
): Promise<string | undefined> {
  const tagged = (await releasesWithin(runtime, directory, commit)).at(-1);
  if (tagged) return tagged.version;
  const text = await fileAt(runtime, directory, commit, 'package.json');
  try {
    const { version } = JSON.parse(text ?? '{}') as { version?: unknown };
    return (typeof version === 'string' ? semver.valid(version) : null) ?? undefined;
  } catch {
    return undefined;
  }
}

/** Whether a version is at least another. What is written short (`2.4`) is filled up. */
export function isAtLeast(version: string, wanted: string): boolean {
  const least = semver.coerce(wanted, { includePrerelease: true });
  return least !== null && semver.gte(version, least);
}

/** The higher of two versions as somebody wrote them; what is written short (`2.4`) is filled up. */
export function higherOf(one: string, other: string): string {
  const [left, right] = [one, other].map((text) => semver.coerce(text, { includePrerelease: true }));
  return left && right && semver.gt(right, left) ? other : one;
}
