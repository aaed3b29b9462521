import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { readDefinition } from '../../../../orchestrator/runtime/lxd/definitions.ts';
import { shippedDefinitions as shipped } from '../../support/a-daemon.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

/** Everything that the code fills in. */
const values = {
  ...{ appliance: 'shop', pool: 'fast', network: 'hf-shop', volume: 'shop-postgres' },
  ...{ subnet: '10.83.7', driver: 'btrfs', size: '20GiB' },
};

describe('a definition', () => {
  const write = (text: string) => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, 'volume.yaml'), text);
    return folder;
  };

  test('has its placeholders filled, each as often as it stands there', () => {
    const folder = write("description: 'of ${appliance}, ${appliance}'\nconfig: { size: '${size}' }\n");
    expect(readDefinition(folder, 'volume', values)).toEqual({
      description: 'of shop, shop',
      config: { size: '20GiB' },
    });
  });

  test('that asks for what nobody knows is refused by file and name', () => {
    const folder = write("description: '${flavour}'\nconfig: {}\n");
    expect(() => readDefinition(folder, 'volume', values)).toThrow(
      'lxd/volume.yaml asks for ${flavour}, which nobody knows',
    );
  });

  test('a value is taken as it is, whatever means something to a replacement', () => {
    const folder = write("description: '${appliance}'\nconfig: {}\n");
    expect(readDefinition(folder, 'volume', { appliance: '$& $1' }).description).toBe('$& $1');
  });

  test('of a container is read from its folder', () => {
    const folder = temporaryFolder();
    mkdirSync(join(folder, 'containers'));
    writeFileSync(join(folder, 'containers/backend.yaml'), 'description: one\nconfig: {}\n');
    expect(readDefinition(folder, 'containers/backend', values).description).toBe('one');
  });
});

describe('the definitions in lxd/', () => {
  const files = readdirSync(shipped, { recursive: true, encoding: 'utf8' }).filter((file) =>
    file.endsWith('.yaml'),
  );

  test('are those that the code reads', () => {
    expect(files.toSorted()).toEqual([
      ...['containers/backend.yaml', 'containers/frontend.yaml', 'containers/postgres.yaml'],
      ...['network.yaml', 'storage.yaml', 'volume.yaml'],
    ]);
  });

  test.each([
    'network',
    'storage',
    'volume',
    'containers/postgres',
    'containers/backend',
    'containers/frontend',
  ] as const)('%s: every setting is a text, which is all that LXD takes', (name) => {
    const definition = readDefinition(shipped, name, values);
    expect(JSON.stringify(definition)).not.toContain('${');
    expect(definition.description).toContain('Holdfast');
    const { config, devices = {} } = definition;
    const all = [config, ...Object.values(devices)].flatMap((table) => Object.values(table));
    expect(all.filter((value) => typeof value !== 'string')).toEqual([]);
  });

  test('each place has the address that the code says of it, a root in the pool and a word on what it is', () => {
    const ends = { postgres: '10', backend: '11', frontend: '12' };
    for (const [place, end] of Object.entries(ends)) {
      const { devices } = readDefinition(shipped, `containers/${place as keyof typeof ends}`, values);
      expect(devices).toMatchObject({
        root: { type: 'disk', path: '/', pool: 'fast' },
        eth0: { type: 'nic', network: 'hf-shop', 'ipv4.address': `10.83.7.${end}` },
      });
    }
  });

  test('the data of the database lie on its volume, and no other place has it', () => {
    const read = (place: 'postgres' | 'backend' | 'frontend') =>
      readDefinition(shipped, `containers/${place}`, values).devices ?? {};
    expect(read('postgres')['data']).toEqual({
      ...{ type: 'disk', pool: 'fast', source: 'shop-postgres', path: '/var/lib/postgresql' },
    });
    expect([...Object.keys(read('backend')), ...Object.keys(read('frontend'))]).not.toContain('data');
  });

  test('the database is up first when the host starts, and everything has a network of four numbers alone', () => {
    const order = (place: 'postgres' | 'backend' | 'frontend') =>
      Number(readDefinition(shipped, `containers/${place}`, values).config['boot.autostart.priority']);
    expect(order('postgres')).toBeGreaterThan(Math.max(order('backend'), order('frontend')));
    expect(readDefinition(shipped, 'network', values)).toMatchObject({
      type: 'bridge',
      config: { 'ipv4.address': '10.83.7.1/24', 'ipv4.nat': 'true', 'ipv6.address': 'none' },
    });
  });

  test.each(files)('%s says in words what it is for: a reader begins there', (file) => {
    expect(readFileSync(join(shipped, file), 'utf8')).toMatch(/^# /);
  });
});
