import { expect, test } from 'vitest';
import { dataMigrationFiles, pendingDataMigrations } from '../../../orchestrator/pipeline/data-pending.ts';

test('every name that the engine takes is a data migration, in the order of the numbers', () => {
  const names = [
    ...['1000_last.ts', '010_ten.sql', '002-two.migration.ts', '003_three.mts', '004_four.cts', '001_one.js'],
    ...[
      '01_short.ts',
      'template.ts',
      'run.sh',
      '005_types.d.ts',
      '006_x.test.ts',
      'registry.json',
      'old/007_x.ts',
    ],
  ];
  expect(
    dataMigrationFiles(
      names.map((one) => `api/data/${one}`),
      './api/data/',
    ).map(({ id }) => id),
  ).toEqual([...['001_one', '002-two', '003_three', '004_four', '010_ten', '1000_last']]);
});

test('pending is what is neither completed, nor not needed, nor skipped', () => {
  const states = new Map([
    ['001_a', 'COMPLETED'],
    ['002_b', 'NOT_NEEDED'],
    ['003_c', 'SKIPPED'],
    ['004_d', 'FAILED'],
    ['005_e', 'RUNNING'],
    ['006_f', 'PENDING'],
  ] as const);
  const files = [...states.keys(), '007_g'].map((id) => ({ id, path: `${id}.ts` }));
  expect(pendingDataMigrations(files, states)).toEqual(['004_d', '005_e', '006_f', '007_g']);
});
