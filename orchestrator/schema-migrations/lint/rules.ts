import type { Severity } from './finding.ts';

/** A rule's text: what stands in every finding of it. */
export interface Rule {
  /** Of a finding on a table whose size is unknown. */
  readonly severity: Severity;
  readonly why: string;
  /** The way that loses nothing and keeps nobody waiting. */
  readonly recipe: string;
}

const expandContract =
  'Expand, backfill, contract: add the new one in this release and fill it in a data migration (requiredBefore names the migration that drops the old one), let the code use it, drop the old one in a later release.';
const twoSteps = 'add it NOT VALID, then ALTER TABLE ... VALIDATE CONSTRAINT ... in a later migration';

/**
 * Every rule of `migrate lint`. The names are stable: vendors write them into their files.
 *
 * What locks how long is PostgreSQL's documentation of ALTER TABLE, CREATE INDEX and "Explicit Locking".
 */
export const rules = {
  'drop-table': {
    severity: 'error',
    why: 'Its rows are gone for good, and code that still asks for it fails.',
    recipe:
      'Take every use out of the code in one release; drop the table in a later one, once its rows are moved or archived.',
  },
  'drop-column': {
    severity: 'error',
    why: 'What is in it is gone for good, and code that still asks for it fails.',
    recipe: expandContract,
  },
  'drop-type': {
    severity: 'warning',
    why: 'Code and other databases that send values of it fail; with CASCADE every column of it is dropped as well.',
    recipe: 'Move all columns to the new type first; drop the old one, without CASCADE, in a later release.',
  },
  'drop-constraint': {
    severity: 'warning',
    why: 'Rows that break it may come in from now on, and then it cannot be put back.',
    recipe:
      'Drop it in the same migration that adds what takes its place, or say why it is not needed any more.',
  },
  'drop-not-null': {
    severity: 'warning',
    why: 'Code that counts on a value meets null, and the way back fails as soon as there is one.',
    recipe: 'Let the code handle null one release before this one.',
  },
  'rename-table': {
    severity: 'warning',
    why: 'Whatever still uses the old name (reports, scripts, the version before) fails at once.',
    recipe:
      'Keep the name in the database and change it in the Prisma schema alone (@@map); or create the new table, copy, and drop the old one in a later release.',
  },
  'rename-column': {
    severity: 'warning',
    why: 'Whatever still uses the old name (reports, scripts, the version before) fails at once.',
    recipe: `Keep the name in the database and change it in the Prisma schema alone (@map). Or: ${expandContract}`,
  },
  'rename-enum-value': {
    severity: 'warning',
    why: 'Whatever still writes or compares the old value fails at once.',
    recipe: 'Add the new value, move the rows to it in a data migration, and stop using the old one.',
  },
  'change-type': {
    severity: 'error',
    why: 'Values may not fit the new type: then the migration fails, or it rounds and cuts them off for good.',
    recipe: expandContract,
  },
  'rewrite-table': {
    severity: 'warning',
    why: 'Every row and every index of the table is written anew, while nobody may read or write it.',
    recipe: expandContract,
  },
  'not-null-without-default': {
    severity: 'error',
    why: 'It fails as soon as the table has one row.',
    recipe:
      'Give it a constant DEFAULT (PostgreSQL writes no row for that); or add it nullable, fill it in a data migration, and SET NOT NULL in a later release.',
  },
  'set-not-null': {
    severity: 'warning',
    why: 'It fails on the first null, and reads the whole table while nobody may read or write it.',
    recipe: `Fill the column in a data migration of an earlier release. On a big table: ADD CONSTRAINT ... CHECK (column IS NOT NULL) NOT VALID, VALIDATE it in a later migration; SET NOT NULL then reads nothing.`,
  },
  'volatile-default': {
    severity: 'warning',
    why: 'The default is computed for every row, and the whole table written anew, while nobody may read or write it.',
    recipe:
      'Add the column without a default, SET DEFAULT for rows to come, and fill the old ones in batches in a data migration.',
  },
  'index-not-concurrently': {
    severity: 'warning',
    why: 'Nobody may write to the table while the index is built.',
    recipe: 'CREATE INDEX CONCURRENTLY (REINDEX ... CONCURRENTLY), alone in a migration of its own.',
  },
  'concurrently-not-alone': {
    severity: 'error',
    why: 'A migration of several statements is one transaction, and CONCURRENTLY cannot run inside of one: it fails.',
    recipe: 'Put it into a migration of its own, with nothing else in the file.',
  },
  'locks-table': {
    severity: 'warning',
    why: 'Nobody may write to it, most often not even read it, until the whole migration is over.',
    recipe:
      'Take a LOCK out: each statement takes the one that it needs. REFRESH MATERIALIZED VIEW CONCURRENTLY where the view has a unique index.',
  },
  'detach-partition': {
    severity: 'warning',
    why: 'Its rows stay in a table of their own, and whatever looks for them in the whole finds them no more.',
    recipe:
      'Take every use of these rows out of the code in one release; detach them in a later one, CONCURRENTLY and alone in its file.',
  },
  'foreign-key-validates': {
    severity: 'warning',
    why: 'Every row is checked while nobody may write to either table, and one that points nowhere fails the migration.',
    recipe: `Clean the rows in an earlier data migration; ${twoSteps}.`,
  },
  'check-validates': {
    severity: 'warning',
    why: 'Every row is checked while nobody may read or write the table, and one that breaks it fails the migration.',
    recipe: `Clean the rows in an earlier data migration; ${twoSteps}.`,
  },
  'add-unique': {
    severity: 'warning',
    why: 'It fails on the first value that is there twice, and nobody may write to the table while its index is built.',
    recipe:
      'Rehearse it (./run.sh rehearse finds duplicates). Merge them in an earlier data migration; on a big table CREATE UNIQUE INDEX CONCURRENTLY, then ADD CONSTRAINT ... UNIQUE USING INDEX.',
  },
  truncate: {
    severity: 'error',
    why: 'All rows are gone for good.',
    recipe:
      'Delete what is not needed in a data migration, which can be tried (--dry-run) and says what it does.',
  },
  'delete-without-where': {
    severity: 'error',
    why: 'All rows are gone for good.',
    recipe:
      'Delete what is not needed in a data migration, which can be tried (--dry-run) and says what it does.',
  },
  'update-without-where': {
    severity: 'error',
    why: 'What stood in every row is overwritten, in one transaction that locks them all.',
    recipe: 'Do it in a data migration, in batches, or name the rows that need it.',
  },
  'possible-rename': {
    severity: 'error',
    why: 'A column is dropped and one of the same type added: if this was meant as a rename, its values are lost.',
    recipe:
      'ALTER TABLE ... RENAME COLUMN keeps them; prisma migrate dev --create-only lets the file be changed first.',
  },
  'no-lock-timeout': {
    severity: 'info',
    why: 'While it waits for its lock behind a long query, everybody else waits behind it.',
    recipe: "Begin the file with SET lock_timeout = '5s': it fails quickly instead, and is tried again.",
  },
  'dynamic-sql': {
    severity: 'warning',
    why: 'It is put together while it runs, or written in another language, so that nobody has looked at what it does.',
    recipe:
      'Write the statement out; or do it in a data migration, which can be tried (--dry-run). Rehearse it on a copy of the rows: ./run.sh rehearse.',
  },
  'server-wide': {
    severity: 'warning',
    why: 'Roles, settings of databases and the like belong to the server: a snapshot does not bring all of them back, and they cannot be rehearsed, since a copy shares them with what is live.',
    recipe:
      'Do it by hand, once, on each server. A setting that the code needs it can make itself: SET at the start of a session.',
  },
  'explicit-transaction': {
    severity: 'warning',
    why: 'A migration already is one transaction: a COMMIT in it leaves half of it applied when the rest fails.',
    recipe: 'Take BEGIN and COMMIT out.',
  },
  'outside-database': {
    severity: 'error',
    why: 'It reaches into files or databases that no snapshot holds: what it does there, nobody sees and nothing takes back.',
    recipe:
      'Take it out. What is to come from or go to another place is moved by a program of its own, outside of an update.',
  },
  'empty-file': {
    severity: 'warning',
    why: 'It does nothing, and is recorded as applied: what was meant to be in it never runs.',
    recipe: 'Write it, or delete its folder before it is released.',
  },
  'syntax-error': {
    severity: 'error',
    why: 'The database refuses the file.',
    recipe: 'Mend it; prisma migrate dev --create-only writes one that parses.',
  },
  name: {
    severity: 'warning',
    why: 'Migrations run in the order of their names; one that is named otherwise runs in another place than meant.',
    recipe: 'Name its folder YYYYMMDDHHMMSS_snake_case, before it is released.',
  },
  edited: {
    severity: 'error',
    why: 'It was applied here as it was before: this database will never get what was changed, new ones will.',
    recipe: 'Bring the file back as it was applied, and put the change into a new migration.',
  },
  'no-down': {
    severity: 'warning',
    why: 'prisma.requireDown asks for a way back in every migration, and this one has none.',
    recipe: './run.sh migrate generate-down NAME writes one.',
  },
  'unknown-accept': {
    severity: 'warning',
    why: 'A comment to the updater says what it does not understand, so it does nothing.',
    recipe:
      'Write: -- holdfast:accept RULE, RULE: the reason; or: -- Requires application version >= 2.4.0; or: -- BREAKING: what it breaks',
  },
} as const satisfies Readonly<Record<string, Rule>>;

export type RuleName = keyof typeof rules;

export function isRuleName(name: string): name is RuleName {
  return Object.hasOwn(rules, name);
}
