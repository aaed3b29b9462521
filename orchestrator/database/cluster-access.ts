import { messageOf } from '../lib/errors.ts';
import { waitFor } from '../lib/wait.ts';
import type { PostgresClient } from './client.ts';
import type { Access } from './cluster.ts';

/**
 * Has the server take the access file that was just written. A reload is asynchronous: the claim "nobody gets in" is
 * checked with connections that must be refused.
 *
 * @param who.client one that is always let in
 * @param who.outside one as the services are
 * @param who.inside one as the run itself is, by the socket
 */
export async function reloadAccess(
  access: Access,
  { client, outside, inside }: Readonly<Record<'client' | 'outside' | 'inside', PostgresClient>>,
): Promise<{ isTaken: boolean; isPasswordWrong: boolean }> {
  await client.execute('select pg_reload_conf();');
  let answer = '';
  const isTaken = await waitFor(
    async () => {
      answer = await answerTo(outside);
      const isOut = isRejection(answer) === (access !== 'open');
      const isRight = isRejection(await answerTo(inside)) === (access === 'secluded');
      return isOut && isRight ? true : undefined;
    },
    { timeoutMs: 10_000 },
  );
  return { isTaken: isTaken === true, isPasswordWrong: answer.includes('password authentication failed') };
}

/** Why the server lets nobody in who comes like this; empty if it does. */
const answerTo = async (client: PostgresClient) =>
  await client.execute('select 1;').then(() => '', messageOf);

/** True if the access file keeps somebody out; a database that is closed, full or gone is another matter. */
const isRejection = (answer: string) => answer.includes('pg_hba.conf rejects');
