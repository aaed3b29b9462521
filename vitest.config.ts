import { defineConfig } from 'vitest/config';
import { aboutServers, testedDatabase } from './tests/support/tested-database.ts';

/** Suites by what they need: unit tests nothing, integration tests PostgreSQL, git and npm, faults
 * the same and here and there root, e2e tests the whole. */
export default defineConfig({
  test: {
    projects: [
      { test: { name: 'unit', include: ['tests/unit/**/*.test.ts'], testTimeout: 20_000 } },
      {
        test: {
          name: 'integration',
          include: ['tests/integration/**/*.test.ts'],
          testTimeout: 180_000,
          hookTimeout: 300_000,
        },
      },
      {
        test: {
          name: 'faults',
          include: ['tests/faults/**/*.test.ts'],
          exclude:
            testedDatabase === 'sqlite'
              ? Object.keys(aboutServers).map((file) => `tests/${file}.test.ts`)
              : [],
          testTimeout: 300_000,
          hookTimeout: 300_000,
        },
      },
      {
        test: {
          name: 'lxd',
          include: ['tests/lxd/**/*.test.ts'],
          globalSetup: ['tests/lxd/global-setup.ts'],
          testTimeout: 300_000,
          hookTimeout: 900_000,
          fileParallelism: false,
        },
      },
      {
        test: {
          name: 'e2e',
          include: ['tests/e2e/**/*.test.ts'],
          testTimeout: 900_000,
          hookTimeout: 600_000,
        },
      },
    ],
    reporters: ['default', './tests/support/closing-report.ts'],
    // Two cores: more files at once would only wait for each other.
    maxWorkers: 2,
    // As for the command line's own processes, see tests/support/cli.ts.
    execArgv: ['--liftoff-only'],
  },
});
