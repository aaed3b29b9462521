import type { Step } from '../pipeline/step.ts';
import { buildsOf, compile, inWindow, install, storeProducts } from './builds.ts';

export const buildFrontend: Step = {
  name: 'build-frontend',
  title: 'Build the frontend',
  async apply(context) {
    const builds = buildsOf(context.target, 'after-migrations');
    storeProducts(context, builds);
    for (const [name, build] of builds) {
      await install(inWindow(context), name, build);
      await compile(inWindow(context), name, build);
    }
  },
  skip: async ({ target }) =>
    await Promise.resolve(
      buildsOf(target, 'after-migrations').length === 0 && 'no build after the migrations',
    ),
};
