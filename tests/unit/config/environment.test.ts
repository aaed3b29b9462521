import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, test, vi } from 'vitest';
import {
  baseEnvironment,
  readApplianceEnvironment,
  substitute,
} from '../../../orchestrator/config/environment.ts';
import { Refusal } from '../../../orchestrator/lib/errors.ts';
import { Secrets } from '../../../orchestrator/lib/secrets.ts';
import { configOf } from '../support/an-appliance.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

describe("the appliance's variables", () => {
  test('come from its env files in their order, then from env.set', () => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, 'one.env'), 'A=one\nB=one\nC=one\n');
    writeFileSync(join(folder, 'two.env'), '# a comment\nexport B="two words"\nC=two\nEMPTY=\n');
    const config = configOf({ env: { files: ['one.env', 'two.env'], set: { C: 'set' } } });
    expect(readApplianceEnvironment(config, folder, new Secrets())).toEqual({
      A: 'one',
      B: 'two words',
      C: 'set',
      EMPTY: '',
    });
  });

  test('are secret when they come from a file, and read anew each time', () => {
    const folder = temporaryFolder();
    const config = configOf({ env: { files: ['.env'], set: { REGION: 'europe-west' } } });
    const secrets = new Secrets();
    for (const value of ['first-value', 'second-value']) {
      writeFileSync(join(folder, '.env'), `TOKEN=${value}\n`);
      expect(readApplianceEnvironment(config, folder, secrets)['TOKEN']).toBe(value);
    }
    expect(secrets.mask('first-value second-value europe-west')).toBe('*** *** europe-west');
  });

  test('a file that is not there is refused with what to do', () => {
    const config = configOf({ env: { files: ['.env'] } });
    const read = () => readApplianceEnvironment(config, temporaryFolder(), new Secrets());
    expect(read).toThrow(Refusal);
    expect(read).toThrow('cannot read the env file .env: it does not exist');
  });
});

describe("the operator's environment", () => {
  afterEach(() => vi.unstubAllEnvs());

  test.each([
    'DATABASE_URL',
    'HOLDFAST_RUN',
    'HOLDFAST_HOME',
    'PGPASSWORD',
    'PGHOST',
    'NODE_OPTIONS',
    'NODE_ENV',
    'NODE_PATH',
    'npm_config_prefix',
    'npm_lifecycle_event',
    'GIT_DIR',
    'GIT_INDEX_FILE',
    'PORT',
    'HOST',
    'BASH_ENV',
    'INIT_CWD',
  ])('%s does not leak into the appliance', (name) => {
    vi.stubEnv(name, 'leak');
    expect(Object.keys(baseEnvironment('/opt/node/bin/node'))).not.toContain(name);
  });

  test.each(['HOME', 'LANG', 'HTTPS_PROXY', 'SSL_CERT_FILE', 'HOSTNAME', 'PORTAGE', 'XDG_CACHE_HOME'])(
    '%s is kept',
    (name) => {
      vi.stubEnv(name, 'kept');
      expect(baseEnvironment('/opt/node/bin/node')[name]).toBe('kept');
    },
  );

  test("has the folder of the appliance's Node first on its path", () => {
    vi.stubEnv('PATH', '/usr/bin');
    expect(baseEnvironment('/opt/node/bin/node')['PATH']).toBe('/opt/node/bin:/usr/bin');
  });
});

describe('a placeholder', () => {
  const values = { port: 4000, commit: 'c0ffee', env: { NAME: 'shop', EMPTY: '' } };

  test('is filled, as often as it stands there', () => {
    expect(substitute('http://{env.NAME}:{port}/{commit}/{port}{env.EMPTY}', values)).toBe(
      'http://shop:4000/c0ffee/4000',
    );
  });

  test.each(['{tag}', '{env.MISSING}', '{env.constructor}', '{env.toString}'])(
    '%s without a value is refused',
    (text) => {
      expect(() => substitute(`x ${text} y`, values)).toThrow(
        new Refusal(`cannot fill ${text} in "x ${text} y": it has no value here`),
      );
    },
  );

  test('may be the address of a service', () => {
    const addresses = { api: '10.83.0.11:4000', 'api-2': '10.83.0.11:4001' };
    expect(substitute('http://{address.api}/x http://{address.api-2}', { env: {}, addresses })).toBe(
      'http://10.83.0.11:4000/x http://10.83.0.11:4001',
    );
    for (const text of ['{address.web}', '{address.constructor}', '{env.api}'])
      expect(() => substitute(text, { env: {}, addresses })).toThrow(`cannot fill ${text}`);
    expect(() => substitute('{address.api}', { env: { api: 'x' } })).toThrow('cannot fill {address.api}');
  });

  test('that is none of ours is left as it is', () => {
    expect(substitute('{"a": "{other}", "$&": 1} ${port}', values)).toBe('{"a": "{other}", "$&": 1} $4000');
  });

  test('is not filled twice: a value may look like one', () => {
    expect(substitute('{env.NAME}', { env: { NAME: '{port} $&' } })).toBe('{port} $&');
  });
});
