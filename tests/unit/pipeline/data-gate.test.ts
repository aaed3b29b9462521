import { expect, test } from 'vitest';
import { parseRequirement } from '../../../orchestrator/pipeline/data-gate.ts';
import { dataMigrationFiles, pendingDataMigrations } from '../../../orchestrator/pipeline/data-pending.ts';

test.each([
  ['an object', "requiredBefore: '2026_drop', introducedIn: '1.4.0',"],
  ['other quotes', 'requiredBefore: "2026_drop",\n  introducedIn: `1.4.0`,'],
  ['keys in quotes', `'requiredBefore': '2026_drop', "introducedIn": '1.4.0'`],
  ['a class', "readonly requiredBefore = '2026_drop';\n  introducedIn: string = '1.4.0';"],
  [
    'behind a comment',
    "/* not requiredBefore: 'x' */ requiredBefore: '2026_drop', // '\n introducedIn: '1.4.0'",
  ],
  ['behind an address', "url: 'https://a.example/', requiredBefore: '2026_drop', introducedIn: '1.4.0'"],
])('what a file of code says is read without running it: %s', (_, body) => {
  const text = `export const migration = { id: '001_x', ${body} };\nthrow new Error('never');`;
  expect(parseRequirement('d/001_x.ts', text)).toEqual({
    requiredBefore: '2026_drop',
    introducedIn: '1.4.0',
  });
});

test('what is commented out does not count', () => {
  for (const text of ["// requiredBefore: 'x'", "/*\n * requiredBefore: 'x'\n */", 'requiredBefore: named,'])
    expect(parseRequirement('001_x.ts', text)).toEqual({
      requiredBefore: undefined,
      introducedIn: undefined,
    });
});

test('a file of SQL says it in its comments', () => {
  const text = "-- requiredBefore: 2026_drop\n  --introducedIn: '1.4.0'\nupdate t set a = 1;";
  expect(parseRequirement('001_x.sql', text)).toEqual({ requiredBefore: '2026_drop', introducedIn: '1.4.0' });
  expect(parseRequirement('001_x.sql', "select 'requiredBefore: x';").requiredBefore).toBeUndefined();
});

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
      names.map((name) => `api/data/${name}`),
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
