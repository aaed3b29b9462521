import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  globSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';

const root = join(import.meta.dirname, '..', '..');
const cache = join(root, '.holdfast', 'test-runner');

/**
 * The folder of the real runner (main.mjs, the gate's preload, the schema engine), built once for the sources as they
 * are and kept beside Holdfast's own; older builds go. Several test files may ask at the same time.
 */
export async function builtRunner(): Promise<string> {
  const folder = join(cache, hashOfSources());
  if (!existsSync(join(folder, 'main.mjs'))) {
    mkdirSync(cache, { recursive: true, mode: 0o700 });
    removeOldBuilds();
    const temporary = mkdtempSync(join(cache, '.new.'));
    await execa(process.execPath, [join(root, 'orchestrator/build-runner.ts'), temporary, process.execPath]);
    try {
      renameSync(temporary, folder);
    } catch (error) {
      rmSync(temporary, { recursive: true, force: true });
      if (!existsSync(join(folder, 'main.mjs'))) throw error;
    }
  }
  return folder;
}

function hashOfSources(): string {
  const hash = createHash('sha256').update(process.execPath);
  const names = globSync(
    ['orchestrator/**/*.ts', 'orchestrator/**/*.cjs', 'lxd/**/*.yaml', 'package-lock.json'],
    {
      cwd: root,
    },
  );
  for (const name of names.toSorted()) hash.update(name).update(readFileSync(join(root, name)));
  return hash.digest('hex').slice(0, 16);
}

function removeOldBuilds(): void {
  for (const name of readdirSync(cache)) {
    const path = join(cache, name);
    // Another file's may have removed it in the meantime.
    const made = statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? Infinity;
    if (Date.now() - made > 3_600_000) rmSync(path, { recursive: true, force: true });
  }
}
