import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { jsonSchema } from '../../orchestrator/config/json-schema.ts';

/*
 * Every static check, all of them even when one fails: `npm run check`. Each is a row, so that what is checked can be
 * read here.
 */

const root = join(import.meta.dirname, '..', '..');
const bin = (name: string) => join(root, 'node_modules', '.bin', name);

const { stdout } = await execa(
  'git',
  ['ls-files', '-z', '--cached', '--others', '--exclude-standard', '*.sh', '.ci/run'],
  { cwd: root },
);
const shellFiles = stdout.split('\0').filter((path) => path !== '');

const checks: readonly [name: string, file: string, args: readonly string[]][] = [
  ['formatting', bin('prettier'), ['--check', '--log-level', 'warn', '.']],
  ['lint', bin('oxlint'), ['--type-aware', '--deny-warnings', 'orchestrator', 'tests', 'vitest.config.ts']],
  ['types', bin('tsc'), ['--noEmit']],
  ['dead code', bin('knip'), []],
  ['shell', 'shellcheck', shellFiles],
];

let failed = 0;
for (const [name, file, args] of checks) {
  const startedAt = performance.now();
  const result = await execa(file, args, { cwd: root, all: true, reject: false });
  const took = `${((performance.now() - startedAt) / 1000).toFixed(1)} s`;
  if (result.exitCode === 0) {
    console.log(`✔ ${name} (${took})`);
  } else {
    failed += 1;
    console.log(`✖ ${name} (${took})\n${result.all === '' ? (result.originalMessage ?? '') : result.all}`);
  }
}

const committed = readFileSync(join(root, 'orchestrator/config/appliance.schema.json'), 'utf8');
if (JSON.stringify(JSON.parse(committed)) !== JSON.stringify(JSON.parse(jsonSchema()))) {
  failed += 1;
  console.log('✖ the JSON Schema of appliance.yaml is out of date: npm run schema');
} else {
  console.log('✔ the JSON Schema of appliance.yaml');
}

process.exitCode = failed === 0 ? 0 : 1;
