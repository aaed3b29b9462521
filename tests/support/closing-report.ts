import { relative } from 'node:path';
import type { Reporter, TestCase, TestModule } from 'vitest/node';
import { faultOutcomes } from './fault-tally.ts';
import { aboutServers, testedDatabase } from './tested-database.ts';

/**
 * After vitest's own summary: the tests that were skipped, each with what it needs; and for the faults, how many were
 * tried and what became of the appliance.
 */
export default class ClosingReport implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const [lxd, others] = partition(modules, ({ project }) => project.name === 'lxd');
    printSkipped(others);
    const why = lxd[0]?.project.getProvidedContext().whyNoLxd ?? '';
    if (why === '') printSkipped(lxd);
    else console.log(`\nSkipped here: the suite lxd, which ${why}`);
    if (testedDatabase === 'sqlite')
      for (const [file, about] of Object.entries(aboutServers))
        console.log(`Not on SQLite: ${file}, ${about}`);
    const faults = modules.filter((module) => module.project.name === 'faults');
    if (faults.length > 0) printFaults(faults);
  }
}

function partition<T>(all: readonly T[], isFirst: (one: T) => boolean): [T[], T[]] {
  return [all.filter(isFirst), all.filter((one) => !isFirst(one))];
}

function printSkipped(modules: readonly TestModule[]): void {
  const skipped = modules.flatMap((module) => [...module.children.allTests('skipped')]);
  if (skipped.length === 0) return;
  const [told, left] = [skipped.filter(reasonOf), skipped.filter((test) => reasonOf(test) === undefined)];
  if (told.length > 0) console.log(`\nSkipped here (${told.length}):`);
  for (const test of told) console.log(`  ${test.fullName}: ${reasonOf(test)}`);
  if (left.length > 0)
    console.log(`\nNot asked for, or left to ./run.sh test integration, faults and lxd: ${left.length}`);
}

function reasonOf(test: TestCase): string | undefined {
  const result = test.result();
  return result.state === 'skipped' ? result.note : undefined;
}

function printFaults(modules: readonly TestModule[]): void {
  const rows = modules.map((module) => ({
    name: relative(`${module.project.config.root}/tests/faults`, module.moduleId).replace(/\.test\.ts$/, ''),
    ...countFaults(module),
  }));
  const columns = ['tried', ...faultOutcomes, 'lost'] as const;
  const total = Object.fromEntries(
    columns.map((column) => [column, rows.reduce((sum, row) => sum + row[column], 0)]),
  );
  const width = Math.max(...rows.map(({ name }) => name.length));
  const line = (name: string, cells: readonly unknown[]) =>
    `  ${name.padEnd(width)}${cells.map((cell) => String(cell).padStart(11)).join('')}`;
  console.log(`\n${line('Faults', columns)}`);
  for (const row of rows.toSorted((one, other) => one.name.localeCompare(other.name)))
    console.log(
      line(
        row.name,
        columns.map((column) => row[column]),
      ),
    );
  console.log(
    line(
      '',
      columns.map((column) => total[column]),
    ),
  );
}

/** A test that failed counts as one that was lost: whatever it tried, what it promises did not hold. */
function countFaults(module: TestModule) {
  const count = { tried: 0, unchanged: 0, restored: 0, completed: 0, lost: 0 };
  for (const test of module.children.allTests()) {
    for (const outcome of faultOutcomes) count[outcome] += test.meta().faults?.[outcome] ?? 0;
    if (test.result().state === 'failed') count.lost += 1;
  }
  count.tried = count.unchanged + count.restored + count.completed + count.lost;
  return count;
}
