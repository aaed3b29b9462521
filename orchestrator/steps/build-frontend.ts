import type { Config } from '../config/schema.ts';
import type { Step } from '../pipeline/step.ts';
import { buildsOf, compile, inWindow, install, storeProducts } from './builds.ts';

/** What is built after the migrations is mostly a frontend; only one of that name is called so. */
export function lateBuildsTitle({ builds }: Config): string {
  return builds['frontend']?.phase === 'after-migrations'
    ? 'Build the frontend'
    : 'Build after the migrations';
}

export const buildFrontend: Step = {
  name: 'build-frontend',
  title: 'Build after the migrations',
  titleFor: lateBuildsTitle,
  async apply(context) {
    const builds = buildsOf(context.target, 'after-migrations');
    storeProducts(context, builds);
    for (const [name, build] of builds) {
      await install(inWindow(context), name, build);
      await compile(inWindow(context), name, build);
    }
  },
  skip: async ({ target }) =>
    await Promise.resolve(buildsOf(target, 'after-migrations').length === 0 && 'none configured'),
};
