import { ColumnTypeEnum, type SqlDriverAdapter } from '@prisma/driver-adapter-utils';

const version = 'PostgreSQL 17.0';
const numericVersion = 170_000;

/**
 * An adapter without a database. The WebAssembly engine wants a connection as soon as it is made, while comparing two
 * schema files (`migrate diff --from-empty --to-schema ...`) needs none and works with the server down, or without any.
 * It answers the one question asked at the start: is the schema there, and which server is it?
 */
export function offlineAdapter(): SqlDriverAdapter {
  return {
    provider: 'postgres',
    adapterName: 'offline',
    queryRaw: async (query) => {
      if (!query.sql.startsWith('SELECT EXISTS(SELECT 1 FROM pg_namespace')) return await refuse();
      return {
        columnNames: ['exists', 'version', 'numeric_version'],
        columnTypes: [ColumnTypeEnum.Boolean, ColumnTypeEnum.Text, ColumnTypeEnum.Int32],
        rows: [[true, version, numericVersion]],
      };
    },
    executeRaw: refuse,
    executeScript: refuse,
    startTransaction: refuse,
    getConnectionInfo: () => ({ schemaName: 'public', supportsRelationJoins: true }),
    dispose: async () => undefined,
  };
}

async function refuse(): Promise<never> {
  throw new Error('cannot ask the database: this comparison was begun without one');
}
