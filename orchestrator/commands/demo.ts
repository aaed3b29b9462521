import type { Register } from '../main.ts';

export const registerDemo: Register = (program, act) => {
  program
    .command('demo')
    .description('see it work: an update, a broken one, a rollback, in a sandbox of its own')
    .action(act(async () => await Promise.resolve(0)));
};
