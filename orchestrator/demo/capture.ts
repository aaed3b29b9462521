import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ask } from '../appliance/http.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { compareDumps } from './compare-dumps.ts';
import type { DatabaseReader } from './database-text.ts';
import { withoutSerials, type Dump } from './dump.ts';
import type { Ports } from './releases/release-1.ts';
import type { Sandbox } from './sandbox.ts';
import { compareTrees, readTree, type Tree } from './tree.ts';

/** All that an appliance is, as seen by somebody who does not trust its updater. */
export interface Capture {
  readonly tree: Tree;
  /** Commit, branch, other refs, index and status, each by the command that tells it. */
  readonly git: ReadonlyMap<string, string>;
  readonly registry: string | undefined;
  /** What its public ports answer: version, schema, the page's title. */
  readonly answers: string;
  readonly dump: Dump;
}

/** Takes it all down while nobody writes. */
export async function capture(
  sandbox: Sandbox,
  ports: Ports,
  runtime: Runtime,
  database: DatabaseReader,
): Promise<Capture> {
  const registry = join(sandbox.appliance, 'backend/prisma/data-migrations/registry.json');
  return {
    tree: readTree(sandbox.appliance),
    git: await readGit(sandbox.appliance, runtime),
    registry: existsSync(registry) ? readFileSync(registry, 'utf8') : undefined,
    answers: await readAnswers(ports),
    dump: await database.live(),
  };
}

async function readGit(directory: string, runtime: Runtime): Promise<ReadonlyMap<string, string>> {
  const facts = new Map<string, string>();
  for (const args of [
    ['rev-parse', 'HEAD'],
    ['symbolic-ref', 'HEAD'],
    ['for-each-ref', 'refs/heads', 'refs/tags', 'refs/remotes'],
    ['ls-files', '--stage'],
    ['status', '--porcelain', '--untracked-files=all'],
  ]) {
    const { stdout } = await runtime.run({
      file: 'git',
      args,
      cwd: directory,
      // A look must not refresh the index.
      addEnv: { GIT_OPTIONAL_LOCKS: '0' },
      label: `git ${args[0]}`,
    });
    facts.set(args.join(' '), stdout);
  }
  return facts;
}

async function readAnswers(ports: Ports): Promise<string> {
  const version = await ask(`http://127.0.0.1:${ports.backend}/version`, { timeoutMs: 5000 });
  const page = await ask(`http://127.0.0.1:${ports.frontend}/`, { timeoutMs: 5000 });
  const title = /<title>(.*)<\/title>/.exec(page.body)?.[1] ?? `no page (${page.status})`;
  return `${version.body.trim()} ${title}`;
}

/**
 * What is not as it was, in words; nothing when all is identical. The machines of the client whose serial numbers begin
 * with `client` are left out on both sides: he wrote until the services stopped and again when they were back, so they
 * are held against his own ledger, one by one, and everything else must be equal to the last byte.
 */
export function compareCaptures(before: Capture, after: Capture, client: string): string[] {
  return [
    ...compareTrees(before.tree, after.tree),
    ...[...before.git]
      .filter(([command, told]) => after.git.get(command) !== told)
      .map(([command]) => `git ${command} tells something else`),
    ...(before.registry === after.registry ? [] : ['registry.json differs']),
    ...(before.answers === after.answers
      ? []
      : [`what answers differs: ${before.answers} became ${after.answers}`]),
    ...compareDumps(withoutSerials(before.dump, client), withoutSerials(after.dump, client)),
  ];
}
