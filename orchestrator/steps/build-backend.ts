import type { Step } from '../pipeline/step.ts';
import { buildsOf, compile, inWindow } from './builds.ts';

export const buildBackend: Step = {
  name: 'build-backend',
  title: 'Build',
  async apply(context) {
    for (const [name, build] of buildsOf(context.target, 'before-migrations'))
      await compile(inWindow(context), name, build);
  },
  skip: async ({ target }) =>
    await Promise.resolve(
      buildsOf(target, 'before-migrations').every(([, build]) => build.build.length === 0) &&
        'nothing to build',
    ),
};
