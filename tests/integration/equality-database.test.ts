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
       create sequence numbers; create view notes as select note from entries;
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
    ['an extension less', 'drop extension plpgsql', ['extension plpgsql is gone']],
    ['another database beside it', 'create database stray', ['other database stray was added']],
  ])('when it has %s', async (_, sql, expected) => {
    await server.query('books', sql);
    const found = differences(before, await captureDatabase(url));
    await server.query('postgres', 'drop database if exists stray');

    expect(mismatches(found, expected)).toEqual(noMismatch);
  });
});
