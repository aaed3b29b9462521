import { createHash, createHmac, pbkdf2Sync, randomBytes } from 'node:crypto';
import { administrator, type Credentials } from '../../orchestrator/database/cluster.ts';

/**
 * Statements that take work from an embedded server that no test of ours is about, each to be run by itself:
 *
 * - It need not outlive a power cut. Killed it still loses nothing: what it wrote is the kernel's by then.
 * - A password costs its client 4096 rounds of a hash at every connection, which is half the processor time of a psql.
 *   Passwords and the way of asking for them stay as they are; one round checks them.
 */
export function sparingStatements({ adminPassword, appPassword }: Credentials): string[] {
  return [
    'alter system set fsync = off',
    'select pg_reload_conf()',
    `alter role ${administrator} password '${scramVerifier(adminPassword)}'`,
    `alter role app password '${scramVerifier(appPassword)}'`,
  ];
}

/** What PostgreSQL keeps of a password (RFC 5803), for one round. */
function scramVerifier(password: string): string {
  const salt = randomBytes(16);
  const salted = pbkdf2Sync(password, salt, 1, 32, 'sha256');
  const keyOf = (what: string) => createHmac('sha256', salted).update(what).digest();
  const stored = createHash('sha256').update(keyOf('Client Key')).digest('base64');
  return `SCRAM-SHA-256$1:${salt.toString('base64')}$${stored}:${keyOf('Server Key').toString('base64')}`;
}
