import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { startPostgres, type PostgresServer } from '../fixtures/schema-engine/postgres-server.ts';
import { captureDatabase } from '../support/database-state.ts';
import { differences, mismatches, noMismatch, type State } from '../support/state.ts';

/* The question "exactly as before?", asked of databases that are not: see equality.test.ts. */

describe('a database is not as before', () => {
  let server: PostgresServer;
  let url: string;
  let before: State;

  beforeAll(async () => {
    server = await startPostgres();
    await server.query('postgres', 'create role clerk');
    await server.query('postgres', 'create role app login');
    url = server.url('books');
  });
  afterAll(async () => {
    await server?.stop();
  });
  beforeEach(async () => {
    await server.recreate('books');
    await server.query(
      'books',
      `create table entries (id integer generated always as identity primary key, note text);
       insert into entries (note) values ('one'), ('two');
       create table loose (i integer); insert into loose values (2), (1);
       create materialized view totals as select count(*) from entries;
       select lo_from_bytea(4711, 'a scan'); create sequence numbers; create view notes as select note from entries;
       comment on database books is 'the books'; alter database books set work_mem to '5MB';`,
    );
    before = await captureDatabase(url);
  });

  test('unless nothing was done to it', async () => {
    await server.query('books', 'select * from entries; analyze;');

    expect(differences(before, await captureDatabase(url))).toEqual([]);
  });

  test.each([
    ['a row more', 'insert into loose values (3)', ['row public.loose (3) was added']],
    ['a row less', 'delete from loose where i = 2', ['row public.loose (2) is gone']],
    [
      'another value',
      "update entries set note = 'eins' where id = 1",
      ['row public.entries (1): values was (1,one), is (1,eins)'],
    ],
    ['a sequence further on', "select nextval('numbers')", ['sequence numbers: called was false, is true']],
    [
      'a sequence of a column set back',
      'alter sequence entries_id_seq restart',
      ['sequence entries_id_seq: last was 2, is 1', 'sequence entries_id_seq: called'],
    ],
    [
      'a column more',
      'alter table loose add j integer',
      [
        'schema TABLE public.loose: definition',
        'row public.loose (1): values',
        'row public.loose (2): values',
      ],
    ],
    ['an index more', 'create index on entries (note)', ['schema INDEX public.entries_note_idx was added']],
    ['a type more', "create type mood as enum ('good')", ['schema TYPE public.mood was added']],
    [
      'a foreign key more',
      'alter table loose add foreign key (i) references entries',
      ['schema FK CONSTRAINT public.loose loose_i_fkey was added'],
    ],
    [
      'another view',
      'create or replace view notes as select upper(note) as note from entries',
      ['schema VIEW public.notes: definition'],
    ],
    [
      'another owner of a view',
      'alter view notes owner to clerk',
      ['schema VIEW public.notes: definition', 'schema VIEW public.notes: owner was postgres, is clerk'],
    ],
    ['a grant on a table', 'grant select on entries to clerk', ['schema ACL public.TABLE entries was added']],
    [
      'a comment on a table',
      "comment on table entries is 'x'",
      ['schema COMMENT public.TABLE entries was added'],
    ],
    ['another owner', 'alter database books owner to clerk', ['database: owner was postgres, is clerk']],
    ['a grant', 'grant connect on database books to clerk', ['database: grants was none']],
    [
      'another comment',
      "comment on database books is 'other'",
      ['database: comment was the books, is other'],
    ],
    ['another setting', "alter database books set work_mem to '6MB'", ['database: settings was']],
    [
      'a setting of a role in it',
      "alter role app in database books set work_mem to '6MB'",
      ['database: settings was'],
    ],
    [
      'another connection limit',
      'alter database books with connection limit 3',
      ['database: limit was -1, is 3'],
    ],
    [
      'a table that would be empty after a crash',
      'alter table loose set unlogged',
      ['schema TABLE public.loose: definition'],
    ],
    [
      'other privileges by default',
      'alter default privileges grant select on tables to clerk',
      ['schema DEFAULT ACL -.DEFAULT PRIVILEGES FOR TABLES was added'],
    ],
    [
      'rows protected',
      'alter table loose enable row level security',
      ['schema ROW SECURITY public.loose was added'],
    ],
    [
      'a constraint that is not checked',
      'alter table loose add check (i > 0) not valid',
      ['schema CHECK CONSTRAINT public.loose loose_i_check was added'],
    ],
    [
      'a setting for one column',
      'alter table loose alter i set statistics 7',
      ['schema TABLE public.loose: definition'],
    ],
    [
      'other rows behind a view that keeps them',
      "insert into entries (id, note) overriding system value values (9, 'x'); refresh materialized view totals;",
      ['row public.entries (3) was added', 'row public.totals (1): values was (2), is (3)'],
    ],
    ['another large object', "select lo_from_bytea(4712, 'x')", ['large object 4712 was added']],
    ['a large object less', 'select lo_unlink(4711)', ['large object 4711 is gone']],
    ['other bytes in a large object', "select lo_put(4711, 0, 'A')", ['large object 4711: bytes was']],
    [
      'a large object that others may read',
      'grant select on large object 4711 to clerk',
      ['large object 4711: grants was none'],
    ],
    [
      'another owner of a large object',
      'alter large object 4711 owner to clerk',
      ['large object 4711: owner was postgres, is clerk'],
    ],
    ['a comment on a large object', "comment on large object 4711 is 'x'", ['large object 4711: comment']],
    ['become a template', 'alter database books with is_template true', ['database: template was false']],
    ['an extension less', 'drop extension plpgsql', ['extension plpgsql is gone']],
    ['another database beside it', 'create database stray', ['other database stray was added']],
  ])('when it has %s', async (_, sql, expected) => {
    await server.query('books', sql);
    const found = differences(before, await captureDatabase(url));
    await server.query('postgres', 'drop database if exists stray');
    await server.query('postgres', 'alter database books is_template false');

    expect(mismatches(found, expected)).toEqual(noMismatch);
  });
});
