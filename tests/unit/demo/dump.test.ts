import { describe, expect, it } from 'vitest';
import { compareAfterUpdate, compareDumps } from '../../../orchestrator/demo/compare-dumps.ts';
import { countRows, parseDump, pick, withoutSerials } from '../../../orchestrator/demo/dump.ts';

const text = (rows: string[], more: { columns?: string; schema?: string; last?: number } = {}) => `--
-- PostgreSQL database dump
--

\\restrict ${Math.random().toString(36).slice(2)}

${more.schema ?? 'CREATE TABLE public.machines (id integer);'}

COPY public.machines (${more.columns ?? 'id, serial, location'}) FROM stdin;
${rows.map((row) => `${row}\n`).join('')}\\.


SELECT pg_catalog.setval('public.machines_id_seq', ${more.last ?? 3}, true);

\\unrestrict x
`;
const one = '1\tSN-1\tHall 1';
const two = '2\tSN-2\t-- not a comment';
const ofClient = '3\tCLIENT-1-1\tHall 9';
const base = parseDump(text([one, two, ofClient]));

describe('a dump as text', () => {
  it('is read into schema, rows and sequences', () => {
    expect(base.schema).toBe('CREATE TABLE public.machines (id integer);');
    expect(countRows(base)).toBe(3);
    expect(pick(base.tables.get('public.machines'), ['serial', 'location', 'unknown'])[1]).toEqual({
      serial: 'SN-2',
      location: '-- not a comment',
    });
    expect(base.sequences).toEqual(new Map([['public.machines_id_seq', 3]]));
  });

  it('is the same in any order of its rows, and with a sequence that moved on', () => {
    expect(compareDumps(base, parseDump(text([ofClient, two, one], { last: 9 })))).toEqual([]);
  });

  it.each([
    ['a row that is missing', text([one, ofClient])],
    ['a row that is new', text([one, two, ofClient, '4\tSN-4\tHall 1'])],
    ['a row that is there twice', text([one, one, two, ofClient])],
    ['a cell that is another', text([one, '2\tSN-2\tHall 2', ofClient])],
    ['another schema', text([one, two, ofClient], { schema: 'CREATE TABLE public.machines (id bigint);' })],
    ['a schema that lost its end', text([one, two, ofClient], { schema: '' })],
    ['another column', text([one, two, ofClient], { columns: 'id, serial, place' })],
    ['a sequence that moved back', text([one, two, ofClient], { last: 2 })],
    ['a table that is missing', 'CREATE TABLE public.machines (id integer);'],
  ])('is told from one with %s', (_, other) => {
    expect(compareDumps(base, parseDump(other))).not.toEqual([]);
  });

  it("leaves a client's rows out by their serial numbers", () => {
    const other = parseDump(text([one, two]));
    expect(compareDumps(withoutSerials(base, 'CLIENT-1-'), other)).toEqual([]);
    expect(compareDumps(withoutSerials(base, 'CLIENT-2-'), other)).not.toEqual([]);
  });
});

describe('after an update', () => {
  const filled = { table: 'public.machines', columns: ['tag'] };
  const after = (...rows: string[]) => parseDump(text(rows, { columns: 'id, serial, tag, location' }));
  const before = parseDump(text([one, two]));

  it('old columns hold what they held, new ones something', () => {
    expect(
      compareAfterUpdate(before, after('2\tSN-2\tB\t-- not a comment', '1\tSN-1\tA\tHall 1'), filled),
    ).toEqual([]);
  });

  it.each([
    ['a lost row', after('1\tSN-1\tA\tHall 1')],
    ['a changed row', after('1\tSN-1\tA\tHall 1', '2\tSN-2\tB\tHall 2')],
    ['an empty new column', after('1\tSN-1\tA\tHall 1', '2\tSN-2\t\\N\t-- not a comment')],
    ['no new column', before],
  ])('%s is found', (_, dump) => {
    expect(compareAfterUpdate(before, dump, filled)).not.toEqual([]);
  });
});
