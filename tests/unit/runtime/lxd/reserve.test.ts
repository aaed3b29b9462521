import { beforeEach, expect, test } from 'vitest';
import { reserveInContainers } from '../../../../orchestrator/runtime/lxd/reserve.ts';
import { FakeDaemon } from '../../support/a-daemon.ts';

const mebibyte = 1024 * 1024;
const containers = ['shop-postgres', 'shop-backend', 'shop-frontend'];
const file = '/var/lib/holdfast-reserve';
let daemon: FakeDaemon;

beforeEach(() => {
  daemon = new FakeDaemon();
});

/** What ran in which container. */
const ran = () =>
  daemon.commands.map(({ args }) => {
    const program = args.findIndex((one) => ['fallocate', 'rm'].includes(one));
    return [args[args.indexOf('-T') + 1], ...args.slice(program)];
  });

test('each has room of its own, and the first one room in the pool and for the database', async () => {
  const reserve = reserveInContainers(daemon.client, containers);
  expect(reserve.bytes).toBe((128 + 32 + 32) * mebibyte);
  await reserve.take(5);
  expect(ran()).toEqual([
    ['shop-postgres', 'fallocate', '--length', String(128 * mebibyte + 5), file],
    ['shop-backend', 'fallocate', '--length', String(32 * mebibyte), file],
    ['shop-frontend', 'fallocate', '--length', String(32 * mebibyte), file],
  ]);
});

test('all give it back, also where one does not answer, and that is told', async () => {
  daemon.prints = ({ args }) => {
    if (args.includes('shop-postgres')) throw new Error('it does not answer');
    return '';
  };
  await expect(reserveInContainers(daemon.client, containers).release()).rejects.toThrow(
    'it does not answer',
  );
  expect(ran()).toEqual(containers.map((name) => [name, 'rm', '-f', file]));
});
