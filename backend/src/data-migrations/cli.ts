import { parseArguments, USAGE, type Request } from './arguments.ts';
import { listMigrations, run, runAgain, runDown, showStatus, skip, writeNew } from './commands.ts';
import { abortOnSignals } from './interruption.ts';
import { planRun } from './plan.ts';
import { describeError, EXIT, Refusal } from './refusal.ts';
import { runRemotely } from './remote.ts';
import { createTextReport, reportAsJson, type Report } from './reporter.ts';

/** The only place that ends the process; how it ends is what a supervisor goes by. */
async function main(argv: readonly string[]): Promise<number> {
  // Told before the arguments are parsed, because their refusal is told in the same form.
  const report = argv.includes('--json') ? reportAsJson : createTextReport();
  try {
    await execute(parseArguments(argv), report);
    return EXIT.ok;
  } catch (error) {
    const exitCode = error instanceof Refusal ? error.exitCode : EXIT.failed;
    const message =
      error instanceof Refusal ? error.message : `cannot run the data migrations: ${describeError(error)}`;
    report({ type: 'result', ok: false, exitCode, error: message });
    return exitCode;
  }
}

async function execute(request: Request, report: Report): Promise<void> {
  const controller = new AbortController();
  const { task } = request;
  if (task.command === 'help') {
    console.log(USAGE);
    return;
  }
  if (request.backendUrl !== undefined) {
    abortOnSignals(controller);
    await runRemotely(request, request.backendUrl, report, controller.signal);
    return;
  }
  if (task.command === 'status') return await showStatus(request);
  if (task.command === 'list') return await listMigrations(request);
  if (task.command === 'new') return await writeNew(request, task.name);
  abortOnSignals(controller);
  switch (task.command) {
    case 'dry-run':
      await planRun(request, report, controller.signal);
      report({ type: 'result', ok: true, message: 'Nothing was changed.' });
      return;
    case 'run':
      await run(request, report, controller);
      report({ type: 'result', ok: true, message: 'Data migrations: done.' });
      return;
    case 'retry':
    case 'rerun':
      await runAgain(request, { action: task.command, id: task.id }, report, controller);
      report({ type: 'result', ok: true, message: 'Data migrations: done.' });
      return;
    case 'skip':
      await skip(request, task, report, controller);
      report({ type: 'result', ok: true, message: `Skipped: ${task.reason}` });
      return;
    case 'down':
      await runDown(request, task.id, report, controller);
      report({ type: 'result', ok: true, message: 'Taken back. It is pending again.' });
      return;
  }
}

// A terminal or a pipe that goes away must not end a run in the middle.
process.stdout.on('error', () => {});
process.stderr.on('error', () => {});
process.on('SIGHUP', () => {});

process.exit(await main(process.argv.slice(2)));
