import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { gateEnvironment } from '../../../orchestrator/appliance/gate.ts';
import { isWorker, startOrder, toArgv } from '../../../orchestrator/appliance/services.ts';
import type { ServiceConfig } from '../../../orchestrator/config/schema.ts';
import { applianceIn, configOf } from '../support/an-appliance.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

function serviceWith(more: Record<string, unknown>): ServiceConfig {
  const service = configOf({ services: { api: { start: 'x', ...more } } }).services['api'];
  if (!service) throw new Error('no service');
  return service;
}

describe('services start', () => {
  test.each<[string, Record<string, string[]>, string[]]>([
    ['in the order of the file', { b: [], a: [], c: [] }, ['b', 'a', 'c']],
    ['each after those it names', { web: ['api'], api: ['cache'], cache: [] }, ['cache', 'api', 'web']],
    ['each once', { a: ['c'], b: ['c', 'a'], c: [] }, ['c', 'a', 'b']],
    ['not at all where there are none', {}, []],
  ])('%s', (_what, after, expected) => {
    const services = Object.fromEntries(
      Object.entries(after).map(([name, list]) => [name, { start: 'x', after: list }]),
    );
    expect(startOrder(configOf({ services }))).toEqual(expected);
  });
});

describe('a command', () => {
  test.each<[string | string[], readonly string[]]>([
    ['node dist/main.js', ['node', 'dist/main.js']],
    ['  node   x  ', ['node', 'x']],
    ['/opt/my\\ node/bin/node x', ['/opt/my node/bin/node', 'x']],
    ['sh -c $HOME;ls|x', ['sh', '-c', '$HOME;ls|x']],
    [
      ['node', 'a b', ''],
      ['node', 'a b', ''],
    ],
  ])('%j is a list of arguments that no shell reads', (written, expected) => {
    expect(toArgv(written)).toEqual(expected);
  });
});

describe('a worker starts after the commit', () => {
  test.each<[boolean, string, Record<string, unknown>]>([
    [true, 'it has no port and no health check', {}],
    [false, 'it has a port', { port: 80 }],
    [false, 'it has a health check', { health: { url: 'http://x' } }],
    [false, 'it honours the flag itself', { gate: 'flag' }],
    [false, 'it declares that it cannot be gated', { gate: 'none' }],
  ])('%s: %s', (expected, _why, more) => {
    expect(isWorker(serviceWith(more))).toBe(expected);
  });
});

describe('the gate in the environment of a service', () => {
  const gate = { by: 'preload', file: '/s/gate/r1', token: 't' } as const;
  const flag = { HOLDFAST_GATE: '1', HOLDFAST_GATE_FILE: '/s/gate/r1', HOLDFAST_GATE_TOKEN: 't' };

  test('is nothing where there is no gate, or none is wanted', () => {
    const appliance = applianceIn(temporaryFolder());
    expect(gateEnvironment(appliance, serviceWith({}), undefined, undefined)).toEqual({});
    expect(gateEnvironment(appliance, serviceWith({ gate: 'none' }), gate, '--x')).toEqual({});
  });

  test('is the flag for a service that honours it', () => {
    const appliance = applianceIn(temporaryFolder());
    expect(gateEnvironment(appliance, serviceWith({ gate: 'flag' }), gate, '--x')).toEqual(flag);
  });

  test("is loaded into Node beside the service's own options, by a path that may hold spaces", () => {
    const appliance = applianceIn(temporaryFolder());
    expect(gateEnvironment(appliance, serviceWith({}), gate, '--max-old-space-size=512')).toEqual({
      ...flag,
      NODE_OPTIONS: `--max-old-space-size=512 --require "${join(appliance.program.runner, 'gate-preload.cjs')}"`,
    });
  });
});
