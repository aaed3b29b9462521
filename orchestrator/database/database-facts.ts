/** A role of the server; `used` if the database's owner, objects or grants name it. */
export interface Role {
  readonly name: string;
  readonly used: boolean;
}

/** What a manifest says of a database. */
export type DatabaseFacts = PostgresFacts | SqliteFacts;

/** What is known of every database, whatever its engine. */
interface CommonFacts {
  readonly name: string;
  readonly tables: readonly { readonly name: string; readonly rows: number }[];
}

export interface PostgresFacts extends CommonFacts {
  readonly engine: 'postgresql';
  readonly serverVersion: string;
  /** The cluster's own id: a restore into another cluster is refused. */
  readonly systemIdentifier: string;
  readonly oid: number;
  readonly owner: string;
  readonly encoding: string;
  readonly collate: string;
  readonly ctype: string;
  readonly localeProvider: 'libc' | 'icu' | 'builtin';
  readonly locale: string | null;
  readonly tablespace: string;
  readonly connectionLimit: number;
  readonly comment: string | null;
  readonly grants: string[] | null;
  /** ALTER DATABASE SET and ALTER ROLE IN DATABASE SET; role null is the database's own. */
  readonly settings: readonly { readonly role: string | null; readonly values: readonly string[] }[];
  /** Absent in older snapshots. */
  readonly roles?: readonly Role[];
  /** The server's other databases, none of the appliance's. Absent in older snapshots. */
  readonly otherDatabases?: readonly string[];
  readonly sequences: readonly { readonly name: string; readonly lastValue: string | null }[];
}

export interface SqliteFacts extends CommonFacts {
  readonly engine: 'sqlite';
  readonly sqliteVersion: string;
  /** Absolute. */
  readonly file: string;
  /** 0 where there was no file. */
  readonly inode: number;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly pageSize: number;
  readonly encoding: string;
  readonly autoVacuum: number;
  readonly userVersion: number;
  readonly applicationId: number;
  /** `wal` is a property of the file; all others are of who opens it, and read as `delete`. */
  readonly journalMode: string;
  /** Rows that refer to none, by table; -1 where SQLite cannot tell. What was so before is told, and no reason to refuse. */
  readonly brokenReferences: readonly { readonly name: string; readonly rows: number }[];
}

/** What a database is, whatever its name: an OID, or the inode of a file. */
export function identityOf(facts: DatabaseFacts): number {
  return facts.engine === 'postgresql' ? facts.oid : facts.inode;
}
