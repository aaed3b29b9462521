import { expect, test } from 'vitest';
import { propertyStatements } from '../../../orchestrator/database/properties.ts';
import { replacementName, setAsideName } from '../../../orchestrator/database/swap.ts';
import { factsWith } from '../support/facts.ts';

test('names of ours hold nothing that needs quoting', () => {
  expect([setAsideName('20261120-021403-2'), replacementName('20261120-021403-2-back')]).toEqual([
    'hf_old_20261120_021403_2',
    'hf_new_20261120_021403_2_back',
  ]);
});

test('a plain database gets its owner, limit and comment, and PostgreSQL keeps its default grants', () => {
  expect(propertyStatements(factsWith())).toEqual([
    'alter database "shop" owner to "app";',
    'alter database "shop" with connection limit -1;',
    'comment on database "shop" is null;',
  ]);
});

test('everything is quoted: a name or a comment is never read as SQL', () => {
  expect(
    propertyStatements(
      factsWith({ name: 'my "shop"', owner: 'o\'r"', comment: "it's; drop database x", connectionLimit: 3 }),
    ),
  ).toEqual([
    'alter database "my ""shop""" owner to "o\'r""";',
    'alter database "my ""shop""" with connection limit 3;',
    'comment on database "my ""shop""" is \'it\'\'s; drop database x\';',
  ]);
});

test('grants are set anew from nothing, with their options, to roles whose names need quoting as well', () => {
  const grants = ['=Tc/app', 'app=CT*c/app', '"we ird=""x"=c/app', 'plain_role=C/app'];
  expect(propertyStatements(factsWith({ grants })).slice(3)).toEqual([
    'revoke all on database "shop" from public;',
    'revoke all on database "shop" from "app";',
    'grant temporary on database "shop" to public;',
    'grant connect on database "shop" to public;',
    'grant create on database "shop" to "app";',
    'grant temporary on database "shop" to "app" with grant option;',
    'grant connect on database "shop" to "app";',
    'grant connect on database "shop" to "we ird=""x";',
    'grant create on database "shop" to "plain_role";',
  ]);
});

test('a database from which everything was revoked stays so', () => {
  expect(propertyStatements(factsWith({ grants: [] })).slice(3)).toEqual([
    'revoke all on database "shop" from public;',
    'revoke all on database "shop" from "app";',
  ]);
});

test('a grant that cannot be read is an error, not silently left out', () => {
  expect(() => propertyStatements(factsWith({ grants: ['nonsense'] }))).toThrow(
    'cannot read the grant "nonsense"',
  );
});

test('settings of the database and of roles in it come with their values to the letter; lists stay lists', () => {
  const settings = [
    {
      role: null,
      values: ['search_path="$user", public', 'work_mem=4MB', "app.motto=a=b; it's", 'temp_tablespaces='],
    },
    { role: 'read only', values: ['default_transaction_read_only=on'] },
  ];
  expect(propertyStatements(factsWith({ settings })).slice(3)).toEqual([
    'alter database "shop" set "search_path" to "$user", public;',
    'alter database "shop" set "work_mem" to \'4MB\';',
    'alter database "shop" set "app.motto" to \'a=b; it\'\'s\';',
    'alter database "shop" set "temp_tablespaces" to \'\';',
    'alter role "read only" in database "shop" set "default_transaction_read_only" to \'on\';',
  ]);
});
