import { existsSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { Refusal } from '../lib/errors.ts';
import type { Register } from '../main.ts';
import { handOver } from '../runtime/hand-over.ts';

export const registerBench: Register = (program, act) => {
  program
    .command('bench')
    .argument('<name>', 'data, lint, rehearsal, status or volume')
    .argument(
      '[args...]',
      'for data the number of rows, for lint that of files, for rehearsal and volume the MB, for status the path of an appliance',
    )
    .description('measure what Holdfast is quick at, against what people would use instead')
    .action(
      act(async (session, name: string, args: string[]) => {
        const { home, node } = session.program;
        const folder = join(home, 'tests', 'bench');
        const file = join(folder, `${name}.ts`);
        if (!/^[a-z-]+$/.test(name) || !existsSync(file)) {
          const names = existsSync(folder) ? readdirSync(folder).map((one) => one.replace(/\.ts$/, '')) : [];
          throw new Refusal(
            `there is no benchmark "${name}"`,
            names.length === 0 ? 'run this in a checkout of Holdfast' : `./run.sh bench ${names.join(' | ')}`,
          );
        }
        // What it starts shall run on our Node, whatever the machine's is.
        process.env['PATH'] = `${dirname(node)}:${process.env['PATH'] ?? ''}`;
        delete process.env['HOLDFAST_DOOR'];
        return (await handOver(node, [file, ...args])) ?? 1;
      }),
    );
};
