import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { jsonSchema } from '../../orchestrator/config/json-schema.ts';

/*
 * Every static check, all of them even when one fails: `npm run check`. Each is a row, so that what is checked can be
 * read here.
 */

const root = join(import.meta.dirname, '..', '..');
const bin = (name: string) => join(root, 'node_modules', '.bin', name);
const backend = join(root, 'backend');
const frontend = join(root, 'frontend');

interface Check {
  readonly name: string;
  readonly file: string;
  readonly args: readonly string[];
  readonly cwd?: string;
}

const linted = ['orchestrator', 'tests', 'vitest.config.ts', 'backend', 'frontend'];
const { stdout } = await execa(
  'git',
  ['ls-files', '-z', '--cached', '--others', '--exclude-standard', '*.sh', '.ci/run'],
  { cwd: root },
);
const shellFiles = stdout.split('\0').filter((path) => path !== '');

const checks: readonly Check[] = [
  { name: 'formatting', file: bin('prettier'), args: ['--check', '--log-level', 'warn', '.'] },
  { name: 'lint', file: bin('oxlint'), args: ['--type-aware', '--deny-warnings', ...linted] },
  { name: 'types', file: bin('tsc'), args: ['--noEmit'] },
  { name: 'types of the backend', file: bin('tsc'), args: ['--noEmit'], cwd: backend },
  { name: 'types of the frontend', file: bin('tsc'), args: ['--noEmit'], cwd: frontend },
  { name: 'dead code', file: bin('knip'), args: [] },
  { name: 'shell', file: 'shellcheck', args: shellFiles },
  { name: "the backend's own tests", file: 'npm', args: ['test'], cwd: backend },
];

/** The reference appliance brings its own packages; its client is generated from its schema. */
async function installReference(): Promise<void> {
  for (const folder of [backend, frontend]) {
    if (!existsSync(join(folder, 'node_modules')))
      await execa('npm', ['ci', '--no-audit', '--no-fund'], { cwd: folder });
  }
  if (existsSync(join(backend, 'src', 'generated'))) return;
  // Generating reads the schema only: any program serves as the engine.
  const env = { PRISMA_SCHEMA_ENGINE_BINARY: '/bin/true', PRISMA_HIDE_UPDATE_MESSAGE: '1' };
  await execa(join(backend, 'node_modules', '.bin', 'prisma'), ['generate'], { cwd: backend, env });
}

/** shellcheck is no npm package. Root on Debian gets it, as CI does. */
async function installShellcheck(): Promise<void> {
  const isThere = (await execa('shellcheck', ['--version'], { reject: false })).exitCode === 0;
  if (isThere || process.getuid?.() !== 0 || !existsSync('/usr/bin/apt-get')) return;
  const env = { DEBIAN_FRONTEND: 'noninteractive' };
  await execa('apt-get', ['update', '-qq'], { env, reject: false });
  await execa('apt-get', ['install', '-y', '-qq', 'shellcheck', 'attr', 'acl'], { env, reject: false });
}

/** Runs one row and prints it. What is not installed and cannot be is told as skipped, with the command. */
async function run({ name, file, args, cwd = root }: Check): Promise<boolean> {
  const startedAt = performance.now();
  const result = await execa(file, args, { cwd, all: true, reject: false });
  if (result.code === 'ENOENT') {
    console.log(`- ${name}: SKIPPED, ${file} is not installed (sudo apt-get install -y ${file})`);
    return true;
  }
  const took = `${((performance.now() - startedAt) / 1000).toFixed(1)} s`;
  const passed = result.exitCode === 0;
  const said = result.all?.trim() || result.originalMessage || '';
  console.log(passed ? `✔ ${name} (${took})` : `✖ ${name} (${took})\n${said}`);
  return passed;
}

await installReference();
await installShellcheck();
let failed = 0;
for (const check of checks) if (!(await run(check))) failed += 1;

const committed = readFileSync(join(root, 'orchestrator/config/appliance.schema.json'), 'utf8');
const isCurrent = committed === jsonSchema();
console.log(
  isCurrent ? '✔ JSON Schema of appliance.yaml' : '✖ JSON Schema of appliance.yaml: npm run schema',
);
process.exitCode = failed === 0 && isCurrent ? 0 : 1;
