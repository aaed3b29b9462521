import { expect, test } from 'vitest';
import { compareFacts } from '../../../orchestrator/database/facts.ts';
import type { PostgresFacts } from '../../../orchestrator/database/database-facts.ts';
import { factsWith } from '../support/facts.ts';

const before = factsWith({
  grants: ['app=CTc/app', '=Tc/app'],
  settings: [{ role: null, values: ['work_mem=4MB'] }],
  tables: [
    { name: 'public.a', rows: 3 },
    { name: 'public.b', rows: 0 },
  ],
  sequences: [{ name: 'public.a_id_seq', lastValue: '3' }],
});

test('a database agrees with itself; its number and the order of its grants do not matter', () => {
  expect(compareFacts(before, { ...before, oid: 99_999, grants: ['=Tc/app', 'app=CTc/app'] })).toEqual([]);
});

test.each<[string, Partial<PostgresFacts>]>([
  ['database owner: app became root', { owner: 'root' }],
  ['database encoding: UTF8 became LATIN1', { encoding: 'LATIN1' }],
  ['database collate: C.UTF-8 became C', { collate: 'C' }],
  ['database ctype: C.UTF-8 became C', { ctype: 'C' }],
  ['database localeProvider: libc became icu', { localeProvider: 'icu' }],
  ['database locale: null became de-AT', { locale: 'de-AT' }],
  ['database tablespace: pg_default became fast', { tablespace: 'fast' }],
  ['database connectionLimit: -1 became 5', { connectionLimit: 5 }],
  ['database comment: null became x', { comment: 'x' }],
  ['database grants differ', { grants: ['app=CTc/app'] }],
  ['database grants differ', { grants: null }],
  ['database settings differ', { settings: [{ role: 'app', values: ['work_mem=4MB'] }] }],
  ['table public.b is gone', { tables: [{ name: 'public.a', rows: 3 }] }],
  [
    'table public.a: 3 rows became 4 rows',
    {
      tables: [
        { name: 'public.a', rows: 4 },
        { name: 'public.b', rows: 0 },
      ],
    },
  ],
  ['table public.c was added', { tables: [...before.tables, { name: 'public.c', rows: 0 }] }],
  ['sequence public.a_id_seq: 3 became 4', { sequences: [{ name: 'public.a_id_seq', lastValue: '4' }] }],
  ['sequence public.a_id_seq: 3 became null', { sequences: [{ name: 'public.a_id_seq', lastValue: null }] }],
  ['sequence public.a_id_seq is gone', { sequences: [] }],
])('%s', (line, change) => {
  expect(compareFacts(before, { ...before, ...change })).toEqual([line]);
});

test('no grants (the defaults) are not the same as all of them revoked', () => {
  expect(compareFacts(factsWith({ grants: null }), factsWith({ grants: [] }))).toEqual([
    'database grants differ',
  ]);
});

test('every difference is named, not only the first', () => {
  expect(compareFacts(before, { ...before, owner: 'x', tables: [], sequences: [] })).toEqual([
    'database owner: app became x',
    'table public.a is gone',
    'table public.b is gone',
    'sequence public.a_id_seq is gone',
  ]);
});
