import { chmodSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { ensureContainer, type Mount } from '../../../orchestrator/runtime/lxd/ensure.ts';
import type { Place } from '../../../orchestrator/runtime/runtime.ts';
import { FakeDaemon, layoutFor, shippedDefinitions, type Thing } from './a-daemon.ts';
import { temporaryFolder } from './temporary-folder.ts';

export interface Container extends Thing {
  config: Record<string, string>;
  devices: Record<string, Record<string, string>>;
}

/** What an appliance called shop needs of a daemon, made and made sure of. */
export class Ensured {
  readonly daemon = new FakeDaemon();
  readonly said: string[] = [];
  /** A folder that is mounted in its containers; who walks to it comes through none that is closed. */
  readonly box: string;

  constructor() {
    const folder = temporaryFolder();
    chmodSync(folder, 0o755);
    this.box = join(folder, 'box');
    mkdirSync(this.box);
  }

  with(lxd: Record<string, unknown> = {}) {
    return {
      client: this.daemon.client,
      layout: layoutFor(lxd),
      definitions: shippedDefinitions,
      directory: this.box,
      say: (line: string) => void this.said.push(line),
    };
  }

  get mounts(): Mount[] {
    return [
      { source: this.box, target: this.box },
      { source: join(this.box, 'socket'), target: '/var/tmp/holdfast-1', isShared: true },
    ];
  }

  async container(place: Place = 'backend', mounts: readonly Mount[] = this.mounts): Promise<void> {
    await ensureContainer(this.with(), place, { image: 'f00', gateway: '10.83.0.1/24', mounts });
  }

  /** The same, and what was changed and said for it is forgotten. */
  async made(mounts?: readonly Mount[]): Promise<Container> {
    await this.container('backend', mounts);
    this.forget();
    return this.there();
  }

  forget(): void {
    this.daemon.changes.length = 0;
    this.said.length = 0;
  }

  there(place: Place = 'backend'): Container {
    return this.daemon.things.get(`instances/shop-${place}`) as Container;
  }

  /** What an operator, or somebody else, makes of the backend's container. */
  alter(how: (one: Container) => Partial<Container>): void {
    const one = this.there();
    this.daemon.things.set('instances/shop-backend', { ...one, ...how(one) });
  }
}
