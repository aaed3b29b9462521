import { EXIT, Refusal } from './refusal.ts';

/**
 * The address of the database, from the environment. Its value never appears in a message: it holds a password.
 *
 * @throws Refusal (exit 2) when it is missing or is no PostgreSQL URL.
 */
export function readDatabaseUrl(variables: NodeJS.ProcessEnv = process.env): string {
  const url = variables['DATABASE_URL'];
  if (url === undefined || url === '')
    throw new Refusal(
      EXIT.refused,
      'cannot run the data migrations: DATABASE_URL is not set. Set it, for example postgresql://user:password@localhost:5432/inventory',
    );
  if (!URL.canParse(url) || !/^postgres(?:ql)?:$/.test(new URL(url).protocol))
    throw new Refusal(
      EXIT.refused,
      'cannot run the data migrations: DATABASE_URL is not a PostgreSQL URL. It starts with postgresql:// (percent-encode odd characters)',
    );
  return url;
}
