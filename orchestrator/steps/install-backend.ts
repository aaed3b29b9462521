import type { Step } from '../pipeline/step.ts';
import { buildsOf, inWindow, install, storeProducts } from './builds.ts';

export const installBackend: Step = {
  name: 'install-backend',
  title: 'Install the packages',
  async apply(context) {
    const builds = buildsOf(context.target, 'before-migrations');
    storeProducts(context, builds);
    for (const [name, build] of builds) await install(inWindow(context), name, build);
  },
  skip: async ({ target }) =>
    await Promise.resolve(buildsOf(target, 'before-migrations').length === 0 && 'nothing to install'),
};
