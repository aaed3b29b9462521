import { playDemo, type DemoReport } from '../demo/demo.ts';
import { withSandbox } from '../demo/sandbox.ts';
import { formatTable } from '../demo/table.ts';
import { tellerFor } from '../demo/teller.ts';
import { exitCodes } from '../lib/errors.ts';
import { takeSignals } from '../lib/signals.ts';
import type { Register } from '../main.ts';
import { localRuntime } from '../runtime/local.ts';
import type { Session } from './session.ts';

export const registerDemo: Register = (program, act) => {
  program
    .command('demo')
    .description('see it work: an update, a broken one, a rollback, in a sandbox of its own')
    .addHelpText(
      'after',
      '\nThe sandbox is .holdfast/demo, with a database and ports of its own; this appliance is not touched. It takes some minutes.',
    )
    .action(act(async (session) => await demo(session)));
};

async function demo(session: Session): Promise<number> {
  const { program, ui } = session;
  const signals = takeSignals((line) => ui.say(line));
  const { signal } = signals.abort;
  signal.addEventListener('abort', () => ui.say('Stopping everything that the demo started ...'), {
    once: true,
  });
  try {
    let place = '';
    const report = await withSandbox(program.home, localRuntime, async (sandbox) => {
      place = sandbox.path;
      return await playDemo({ program, runtime: localRuntime, sandbox, signal, tell: tellerFor(ui) });
    });
    return tellReport(session, report, place);
  } finally {
    signals.release();
  }
}

function tellReport({ ui }: Session, { runs, problems }: DemoReport, place: string): number {
  const ok = problems.length === 0;
  const exitCode = ok ? exitCodes.ok : exitCodes.internal;
  const lines = [
    `\n${formatTable(runs, ui.paint)}\n`,
    ...problems.map((problem) => `${ui.paint.red('✖')} ${problem}`),
    ok
      ? `${ui.paint.green('All as promised.')} Nothing runs any more; look around in ${place} (the next demo replaces it).`
      : `${ui.paint.red('Not as promised.')} Nothing runs any more; ${place} is kept for a look.\n  ${ui.paint.bold('Next:')} please report it with the lines above`,
  ];
  ui.result(
    {
      type: 'result',
      ok,
      exitCode,
      runs: runs.map(({ problems: _problems, ...run }) => run),
      ...(ok ? {} : { problems }),
      sandbox: place,
    },
    lines.join('\n'),
  );
  return exitCode;
}
