import type { Register } from '../main.ts';
import { describeLoss } from '../ui/outcome.ts';
import { locked } from './locked.ts';
import { exitCodeAfter } from './recovering.ts';

export const registerRecover: Register = (program, act) => {
  program
    .command('recover')
    .description('bring an interrupted run to one whole version; does nothing when there is none')
    .action(
      act(
        async (session) =>
          await locked(session, 'recover', async ({ recovered }) => {
            if (!recovered) {
              session.ui.result(
                { type: 'result', ok: true, exitCode: 0, outcome: 'nothing-to-recover' },
                'No run was interrupted. Nothing to recover.',
              );
              return 0;
            }
            const { run, report } = recovered;
            const exitCode = exitCodeAfter(report);
            session.ui.result(
              {
                type: 'result',
                ok: true,
                exitCode,
                outcome: report.state === 'before' ? 'restored' : report.state,
                run: run.id,
                identical: report.compared !== '',
              },
              exitCode === 0
                ? 'The appliance is whole.'
                : `The appliance is as it was before that run. ${describeLoss(report.gone)}`,
            );
            return await Promise.resolve(exitCode);
          }),
      ),
    );
};
