import { expect, test } from 'vitest';
import { findTransactionWord } from '../../backend/src/data-migrations/transaction-words.ts';

test.for([
  ['commit', 'commit'],
  ['  /* a /* b */ ; */ -- c\n  Commit  work', 'Commit work'],
  [`SELECT ';', $a$ ' ; $a$; END;`, 'END'],
  [`SELECT E'\\\\'; ABORT AND CHAIN`, 'ABORT AND CHAIN'],
  [`SELECT '\\'; ROLLBACK --'`, 'ROLLBACK'],
  [`UPDATE t SET a$b$ = 1; COMMIT; SELECT $b$`, 'COMMIT'],
  [`SELECT "a;""b"; begin read write`, 'begin read write'],
  ['start transaction', 'start transaction'],
  ["PREPARE TRANSACTION 'x'", "PREPARE TRANSACTION ''"],
  ["ROLLBACK PREPARED 'x'", "ROLLBACK PREPARED ''"],
  ['SET TRANSACTION READ WRITE', 'SET TRANSACTION READ WRITE'],
  [
    'SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE',
    'SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE',
  ],
  ['SET default_transaction_read_only = off', 'SET default_transaction_read_only = off'],
  ['RESET\tdefault_transaction_read_only', 'RESET default_transaction_read_only'],
  [
    `SELECT set_config('default_transaction_read_only', 'off', false)`,
    `set_config('default_transaction_read_only')`,
  ],
  ['DISCARD ALL', 'DISCARD ALL'],
])('%j is found', ([sql = '', word]) => {
  expect(findTransactionWord(sql)).toBe(word);
});

test.for([
  `UPDATE users SET name = 'a; COMMIT', n = CASE WHEN true THEN 1 END -- ; END`,
  `SELECT 'it''s; COMMIT', U&'d; COMMIT', E'\\'; COMMIT --'`,
  'SAVEPOINT mine; UPDATE users SET n = 2; ROLLBACK TO SAVEPOINT mine; rollback work to mine; RELEASE mine',
  'CREATE FUNCTION one() RETURNS int BEGIN ATOMIC SELECT 1; SELECT 2; END',
  'DO $$ BEGIN PERFORM 1; END; $$',
  'SELECT "END", "x;COMMIT" FROM begins',
  'SET TRANSACTION ISOLATION LEVEL SERIALIZABLE',
  'PREPARE one AS SELECT 1',
  'SELECT $1; SELECT $2',
  '',
])('%j is fine', (sql) => {
  expect(findTransactionWord(sql)).toBeUndefined();
});
