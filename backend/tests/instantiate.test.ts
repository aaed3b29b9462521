import assert from 'node:assert/strict';
import { test } from 'node:test';
import { instantiate } from '../src/data-migrations/instantiate.ts';

/* What a constructor is given goes by its parameters as JavaScript reads them. */

const services = { prisma: 'the client', logger: 'the logger', context: { prisma: 'the client' } };
const given = async (of: new (...args: never[]) => object): Promise<unknown[]> =>
  ((await instantiate(of as new (...args: unknown[]) => object, services)) as Keeping).all;

class Keeping {
  readonly all: unknown[];
  constructor(...all: unknown[]) {
    this.all = all;
  }
}

await test('a default with parentheses and commas in it stays', async () => {
  class One extends Keeping {
    constructor(prisma: unknown, options = { a: Math.max(1, 2), b: ')' }, log?: unknown) {
      super(prisma, options, log);
    }
  }
  assert.deepEqual(await given(One), ['the client', { a: 2, b: ')' }, 'the logger']);
});

await test('a client of its own by default is replaced by the one that is watched', async () => {
  class One extends Keeping {
    constructor(prisma: unknown = 'its own') {
      super(prisma);
    }
  }
  assert.deepEqual(await given(One), ['the client']);
});

await test('one that takes its parameter apart', async () => {
  class One extends Keeping {
    constructor({ prisma }: { prisma: unknown }) {
      super(prisma);
    }
  }
  assert.deepEqual(await given(One), ['the client']);
});

await test('one whose parent has the constructor', async () => {
  class Parent extends Keeping {
    constructor(client: unknown, logger: unknown) {
      super('the parent', client, logger);
    }
  }
  class One extends Parent {
    text = 'constructor(nothing, of, this)';
  }
  assert.deepEqual(await given(One), ['the parent', 'the client', 'the logger']);
});
