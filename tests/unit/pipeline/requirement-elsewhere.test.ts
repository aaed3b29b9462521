import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { parseRequirement } from '../../../orchestrator/pipeline/requirement.ts';

/* What is handed out may be somebody else's, and say there what this file does not show. */

const base = "import { Base, base, cfg, make } from './lib/base.ts';\n";
const shared = "const shared = require('./shared');\n";

test.each([
  `${base}export const migration = make('0009_drop_notes');`,
  `${base}export class Third extends Base { up() {} }`,
  `${base}class Second extends Base {}\nexport default class extends Second {}`,
  `${base}export { Base };`,
  `${base}export const Third = class extends Base {};`,
  `export { Third } from './lib/third.ts';`,
  `module.exports = require('./shared');`,
  `module.exports = require('pkg');`,
  `${shared}module.exports = shared;`,
  `${shared}module.exports = { migration: shared };`,
  `${shared}module.exports = { Third: shared.Third };`,
  `exports.migration = require('./shared').migration;`,
  `${shared}exports.default = exports.migration = shared.one;`,
  `export = require('./b');`,
  `import b = require('./b');\nexport = b;`,
  `import * as b from './b.ts';\nexport const migration = b.migration;`,
  `import * as b from './b.ts';\nexport default b.default;`,
  `import b from './b.ts';\nconst { migration } = b;\nexport { migration };`,
  `import b from './b.ts';\nexport const { migration } = b;`,
  `import b from './b.ts';\nconst all = { one: b };\nexport default all.one;`,
  `export default (await import('./b.ts')).default;`,
  `export default await load();`,
  `${base}export const migration = new Base('0009_drop_notes');`,
  `${base}class Own extends Base {}\nexport default new Own();`,
  `${base}class Own { constructor(o) { Object.assign(this, o); } }\nexport default new Own(cfg);`,
  `${base}export default Object.assign({}, base, { up() {} });`,
  `${base}export default define(base);`,
  `${base}const define = (m) => ({ ...m, up() {} });\nexport default define(base);`,
  `${base}const define = (m) => ({ ...base, ...m });\nexport default define({ up() {} });`,
  `${base}function own() { return base; }\nexport default own();`,
  `${base}export const migration = { up() {} };\nObject.assign(migration, cfg);`,
  `${base}const common = {};\nObject.setPrototypeOf(common, base);\nexport default { ...common };`,
  `${base}export const migration = { up() {} };\nmigration.__proto__ = base;`,
  `${base}export const migration = { up() {} };\nfor (const key in cfg) migration[key] = cfg[key];`,
  `${base}export const migration = base ?? { up() {} };`,
  `${base}export default process.env.X ? base : { up() {} };`,
  `${base}export default { ...(process.env.X && base), up() {} };`,
  `${base}export const migration = { __proto__: base, up() {} };`,
  `${base}export default Object.create(base);`,
  `${base}export let migration = { up() {} };\nmigration = cfg;`,
  `${base}export default { requiredBefore: 'a', ...base };`,
  `import { readFileSync } from 'node:fs';\nexport default JSON.parse(readFileSync('own.json', 'utf8'));`,
  `import { merge } from 'pkg';\n${base}export default merge(base, { up() {} });`,
  `import { base } from '#lib/base';\nexport default base.extend({});`,
  `const b_1 = require('./b');\nObject.defineProperty(exports, 'migration', { get: () => b_1.migration });`,
  `__exportStar(require('./b'), exports);`,
  `export const migration = {};\nexport class M { [key()] = 'x' }\nexport default M;`,
  `${base}const define = (...all) => Object.assign({}, ...all);\nexport default define({}, base);`,
  `import { definition } from './lib/own.ts';\nexport default definition({ up() {} });`,
  `const lib = require('./lib');\nmodule.exports = lib.make({ up() {} });`,
  `const own = (m) => own(m) ?? make(m);\nimport { make } from './lib.ts';\nexport default own({});`,
  `module.exports = module.require('./shared');`,
  `import { createRequire } from 'node:module';\nconst load = createRequire(import.meta.url);\nexport default load('./shared');`,
  `${base}export class M { constructor() { for (const key in cfg) this[key] = cfg[key]; } up() {} }`,
  `${base}export const { migration = base } = {};`,
  `${base}class Own extends Base {}\nexport const migration = Reflect.construct(Own, []);`,
])('what comes from elsewhere is told, and never taken for nothing: %s', (text) => {
  expect(parseRequirement('001_x.ts', text).unreadable).toMatch(/^line \d$/);
});

const client = "import { PrismaClient } from '../../src/generated/client.ts';\n";

test.each([
  // The template, and what its guide shows.
  `import type { DataMigration } from '../../src/data-migrations/migration.ts';
export const migration: DataMigration = { id: '001_x', async up(_prisma, { batch }) { await batch({ model: 'M' }); } };
export default migration;`,
  `import { up } from './lib/up.ts';\nimport * as lib from './lib/all.ts';\nexport const migration = { id: '001_x', up, down: lib.down };`,
  `export default { id: '001_x', async up(prisma) { const m = await import('./lib/own.ts'); Object.assign(m, prisma); } };`,
  `import { amount } from '@shared/amount';\nexport const migration = { id: '001_x', n: amount, up() {} };`,
  // Classes.
  `${client}const Injectable = () => (target: unknown) => target;
@Injectable() export class Fill { readonly name = 'fill'; constructor(private readonly prisma: PrismaClient) {} async up() {} get [Symbol.toStringTag]() { return 'x'; } }`,
  `import { Migration } from 'some-orm';\nexport class Fill extends Migration { up() {} }`,
  `class Base { up() {} }\nexport class Fill extends Base { constructor(deps) { super(); Object.assign(this, deps); } }`,
  `${client}import { prisma } from './lib/client.ts';\nclass Fill { constructor(private p) {} up() {} }\nexport default new Fill(prisma);`,
  // Scripts.
  `${client}export const prisma = new PrismaClient();\nasync function main() {}\nif (require.main === module) main();`,
  `${base}export const SIZE = cfg.size;\nasync function up() { await make(); }\nup().catch(() => process.exit(1));`,
  // CommonJS, also as TypeScript writes it.
  `const { Client } = require('pg');\nmodule.exports.migration = { id: '001_x', up: async (prisma) => {} };`,
  `const up = require('./lib/up');\nconst migration = { id: '001_x', up };\nmodule.exports = migration;\nmodule.exports.default = module.exports;`,
  `"use strict";\nObject.defineProperty(exports, "__esModule", { value: true });\nexports.migration = void 0;\nconst lib_1 = require("./lib");\nexports.migration = { id: '001_x', up: () => (0, lib_1.up)() };\nexports.default = exports.migration;`,
  `module.exports = { migration: { id: '001_x', up: require('./up') } };`,
  // Helpers.
  `export default defineMigration({ id: '001_x', up() {} });`,
  `import { defineMigration } from '../../src/data-migrations/define.ts';\nexport default defineMigration({ id: '001_x', up() {} });`,
  `const { defineMigration } = require('../lib/define');\nmodule.exports = defineMigration({ id: '001_x', up() {} });`,
  `import { migration as of } from 'pkg';\nexport default of({ id: '001_x', up() {} });`,
  `const lib = require('./lib');\nmodule.exports = lib.defineMigration({ up() {} });`,
  `const again = (n) => (n > 0 ? again(n - 1) : { up() {} });\nexport default again(3);`,
  `${base}const own = (client, m) => ({ ...m, up() { client(); } });\nexport const migration = own(cfg, { id: '001_x' });`,
  `const m = { id: '001_x' };\nm.up = () => {};\nexport const migration = Object.freeze(m);`,
  `const common = { a: 1 };\nexport default { ...common, ...(process.env.X ? { b: 1 } : {}), up() {} };`,
  `import { z } from 'zod';\nexport default z.object({ up: z.function() }).parse({ id: '001_x', up() {} });`,
  `export class M { rows = {}; up(name) { this[name] = 1; this.rows[name] = 2; } }`,
  // It says by itself that there is none.
  `${base}export default { ...base, requiredBefore: undefined };`,
  `${base}export default make({ id: '001_x', requiredBefore: undefined });`,
  `${base}export class Fill extends Base { readonly requiredBefore = undefined; }`,
  // Of no consequence: another is the migration.
  `export { Helper } from './lib/helper.ts';\nexport const migration = { id: '001_x', up(migration) { return migration; } };`,
  `${base}export const migration = { id: '001_x', up() {} };\nfunction run(migration) { migration = cfg; }\nrun(migration, cfg);`,
])('what is written here is read, whatever it uses: %s', (text) => {
  expect(parseRequirement('001_x.ts', text)).toMatchObject({
    requiredBefore: undefined,
    unreadable: undefined,
  });
});

test.each([
  `${base}export default { ...base, requiredBefore: '2026_drop' };`,
  `${base}export default make({ requiredBefore: '2026_drop' });`,
  `${base}export class Fill extends Base { requiredBefore = '2026_drop'; }`,
  `import { defineMigration } from './define.ts';\nexport default defineMigration({ requiredBefore: '2026_drop' });`,
])('what is said here counts, whatever stands elsewhere: %s', (text) => {
  expect(parseRequirement('001_x.ts', text)).toMatchObject({
    requiredBefore: '2026_drop',
    unreadable: undefined,
  });
});

test.each([
  `function make(v = 'B') { return { requiredBefore: v }; }`,
  `function make({ v }) { return { requiredBefore: v }; }`,
  `const make = ([v]) => ({ requiredBefore: v });`,
  `const make = (...v) => ({ requiredBefore: v });`,
  `function make() { const { v } = other(); return { requiredBefore: v }; }`,
  `function make() { try {} catch (v) { return { requiredBefore: v }; } }`,
  `function make() { class v {} return { requiredBefore: v }; }`,
])('a name that another one hides is not read as that: %s', (text) => {
  expect(parseRequirement('001_x.ts', `const v = 'A';\n${text}`).unreadable).toBe('line 2');
});

test('parameters are no declaration of what is exported from elsewhere', () => {
  const text = `import { requiredBefore } from './a.ts';\nexport { requiredBefore };\nfunction f(requiredBefore) {}`;
  expect(parseRequirement('001_x.ts', text).unreadable).toBe('line 2');
});

test('the template, the examples and what the reference appliance has are read', () => {
  const folder = join(import.meta.dirname, '../../../backend/prisma/data-migrations');
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((file) =>
    file.endsWith('.ts'),
  );
  expect(files).toContain('template.ts');
  for (const file of files)
    expect(parseRequirement(file, readFileSync(join(folder, file), 'utf8'))).toMatchObject({
      unreadable: undefined,
    });
});
