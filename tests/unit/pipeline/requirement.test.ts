import { expect, test } from 'vitest';
import { parseRequirement } from '../../../orchestrator/pipeline/requirement.ts';

test.each([
  ['an object', "requiredBefore: '2026_drop', introducedIn: '1.4.0',"],
  ['other quotes', 'requiredBefore: "2026_drop",\n  introducedIn: `1.4.0`,'],
  ['keys in quotes', `'requiredBefore': '2026_drop', "introducedIn": '1.4.0'`],
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
    unreadable: undefined,
  });
});

const drop = '20260601120000_drop_contact';

test.each([
  `const DROP = '${drop}';\nexport const migration = { requiredBefore: DROP };`,
  `const [day, what]: string[] = x; const DAY: string = '20260601120000';\nexport const migration = { requiredBefore: DAY + ('_drop' + "_contact") };`,
  `const requiredBefore = '${drop}';\nexport const migration = { id, requiredBefore };`,
  `export class M { public readonly requiredBefore?: string = '${drop}'; introducedIn: string = '1.4.0' }`,
  `export class M { get requiredBefore(): string { return '${drop}'; } }`,
  `export class M { readonly requiredBefore = '${drop}' as const\n  up() {} }`,
  `export const migration = { ["requiredBefore"]: \`${drop}\` };`,
  `export const migration = { requiredBefore: '${drop}/migration.sql' };`,
  `const what = 'contact';\nexport const migration = { requiredBefore: \`20260601120000_drop_\${what}\` };`,
  `export const migration: Partial<Own> = {};\nmigration.requiredBefore = <string>'${drop}';`,
  `const DROP = '${drop}'; export { DROP as requiredBefore };`,
  `@registered export class M { constructor(private x = 1, readonly requiredBefore = '${drop}') {} }`,
  `const { requiredBefore } = other; export const migration = { requiredBefore: '${drop}' } as { requiredBefore: string };`,
  `export const migration = { description: "requiredBefore: 'x'", sql: \`requiredBefore: 'y' \${a ? \`'}\` : '}'}\`, requiredBefore: '${drop}' };`,
  `const re = /["'\`]/g; const n = 4 / 2; // it's\nexport default defineMigration({ requiredBefore: '${drop}' satisfies string });`,
  `interface Own { requiredBefore?: string; id: string }\nexport const migration: Own = { requiredBefore: '${drop}' };\nif (migration.requiredBefore) console.log(migration.requiredBefore);`,
])('what code says of it in other ways is understood: %s', (text) => {
  expect(parseRequirement('001_x.ts', text)).toMatchObject({ requiredBefore: drop, unreadable: undefined });
});

test.each([
  [`export const migration = {\n  requiredBefore: ['${drop}'] };`, 2],
  [`import { DROP } from './names.ts';\n\nexport const migration = { requiredBefore: DROP };`, 3],
  [`export const migration = { requiredBefore: process.env.X ?? '${drop}' };`, 1],
  [`let what = 'contact';\nexport const migration = { requiredBefore: \`2026_\${what}\` };`, 2],
  [`export const migration = {\n  requiredBefore: 'a', later: { requiredBefore: 'b' } };`, 2],
  [`export const migration = {};\nmigration.requiredBefore ??= '${drop}';`, 2],
  [`export class M {\n  constructor(readonly requiredBefore: string) {} }`, 2],
  [`import { DROP } from './names.ts';\nexport { DROP as requiredBefore };`, 2],
  [`import { requiredBefore } from './lib/shared.ts';\nexport { requiredBefore };`, 2],
  [`export const id = 'x';\nexport { requiredBefore } from './lib/shared.ts';`, 2],
  [`export const id = 'x';\nexport * from './lib/shared.ts';`, 2],
  [`export { migration as default } from './lib/shared.ts';`, 1],
  [`import { common } from './lib/shared.ts';\nexport default { ...common, up() {} };`, 2],
  [`import { common } from './lib/shared.ts';\nexport default common;`, 2],
  [
    `import { common } from './lib/shared.ts';\nconst m = defineMigration({ ...common });\nexport { m as default };`,
    3,
  ],
  [`const common = require('./lib/shared.js');\nmodule.exports = { ...common };`, 2],
  [`export const id = 'x';\nexport const { requiredBefore } = make();`, 2],
  [`export const [requiredBefore] = ['${drop}'];`, 1],
  [`({ a: migration.requiredBefore } = { a: '${drop}' });`, 1],
  [
    `export const migration = {};\nObject.defineProperty(migration, 'requiredBefore', { value: '${drop}' });`,
    2,
  ],
  [`export const migration = JSON.parse('{"requiredBefore": "${drop}"}');`, 1],
  [`let key = 'requiredBefore';\nexport const migration = { [key]: '${drop}' };`, 1],
  [`export const migration = { [key()]: '${drop}' };`, 1],
  [`export function requiredBefore() { return '${drop}'; }`, 1],
  [
    `const name = 'other';\nconst define = (name: string) => ({ requiredBefore: name });\nexport default define('${drop}');`,
    2,
  ],
  [`const A = B; const B = A;\nexport const requiredBefore = A;`, 2],
  [`function one() { const D = 'a'; }\nfunction two() { const D = 'b'; return { requiredBefore: D }; }`, 2],
  [`export const migration = { requiredBefore: '${drop}'\n  description: 'no comma' };`, 2],
  [`let DROP = '${drop}';\nexport const migration = { requiredBefore: DROP };`, 2],
  [`export class M { get requiredBefore() { return this.name; } }`, 1],
])('what nobody can read is told, with its line, and never taken for nothing: %s', (text, line) => {
  expect(parseRequirement('001_x.ts', text).unreadable).toBe(`line ${line}`);
});

test('in a file of SQL: each spelling of a comment, and no text', () => {
  for (const text of [
    `-- requiredBefore = ${drop}`,
    `/*\n * requiredBefore: '${drop}'\n */`,
    `--requiredbefore: ${drop};`,
  ])
    expect(parseRequirement('001_x.sql', `UPDATE x;\n${text}`)).toMatchObject({
      requiredBefore: drop,
      unreadable: undefined,
    });
  for (const text of [
    `/* a /* b */ requiredBefore: ${drop} */`,
    `SELECT [it's];\n-- requiredBefore: ${drop}\nSELECT 'x';`,
    `-- required_before: ${drop}`,
    `-- requiredBefore: ${drop}\n-- requiredBefore: another`,
  ])
    expect(parseRequirement('001_x.sql', text).unreadable).toMatch(/^line [12]$/);
  expect(parseRequirement('001_x.sql', `SELECT E'it\\'s';\n-- requiredBefore: ${drop}`)).toMatchObject({
    requiredBefore: drop,
    unreadable: undefined,
  });
  expect(parseRequirement('001_x.sql', `SELECT 1;\n-- this is requiredBefore ${drop}`).unreadable).toBe(
    'line 2',
  );
  expect(
    parseRequirement('001_x.sql', `SELECT $a$\n-- requiredBefore: x\n$a$`).requiredBefore,
  ).toBeUndefined();
});

test('what only looks so hides nothing: reads, types, helpers and objects of the file itself', () => {
  const text = `import { rows } from './lib/rows.ts';
import type { Migration } from './types.ts';
const common = { description: 'x', ['id']: '001_x' };
export { helper } from './lib/rows.ts';
export type * from './types.ts';
export const migration: Migration = {
  ...common,
  async up(client) {
    for (const { id, ...row } of await rows(client)) await client.query({ ...row, [id]: row[id] });
    if (migration.requiredBefore === 'requiredBefore' || 'requiredBefore' in migration) return;
  },
};
export default migration;`;
  expect(parseRequirement('001_x.ts', text)).toMatchObject({
    requiredBefore: undefined,
    unreadable: undefined,
  });
});

test('what is commented out does not count', () => {
  for (const text of ["// requiredBefore: 'x'", "/*\n * requiredBefore: 'x'\n */", '"requiredBefore: \'x\'"'])
    expect(parseRequirement('001_x.ts', text)).toEqual({
      requiredBefore: undefined,
      introducedIn: undefined,
      unreadable: undefined,
    });
});

test('a file of SQL says it in its comments', () => {
  const text = "-- requiredBefore: 2026_drop\n  --introducedIn: '1.4.0'\nupdate t set a = 1;";
  expect(parseRequirement('001_x.sql', text)).toMatchObject({
    requiredBefore: '2026_drop',
    introducedIn: '1.4.0',
  });
  expect(parseRequirement('001_x.sql', "select 'requiredBefore: x';").requiredBefore).toBeUndefined();
});
