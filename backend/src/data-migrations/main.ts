import { Console } from 'node:console';
import { parseArguments, USAGE, type Request } from './arguments.ts';
import { listMigrations, planRun, run, showStatus } from './commands.ts';
import { abortOnSignals } from './interruption.ts';
import { describeError, EXIT, Refusal } from './refusal.ts';
import { reportAsJson, reportAsText, type Report } from './reporter.ts';

/** The only place that ends the process; how it ends is what a supervisor goes by. */
async function main(argv: readonly string[]): Promise<number> {
  // Told before the arguments are parsed, because their refusal is told in the same form.
  const report = argv.includes('--json') ? reportAsJson : reportAsText;
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
  switch (request.command) {
    case 'help':
      console.log(USAGE);
      return;
    case 'status':
      await showStatus(request);
      return;
    case 'list':
      await listMigrations(request);
      return;
    case 'dry-run':
      await planRun(request, report);
      report({ type: 'result', ok: true, message: 'Nothing was changed.' });
      return;
    case 'run': {
      const controller = new AbortController();
      abortOnSignals(controller);
      guard(report, request.json);
      await run(request, report, controller);
      report({ type: 'result', ok: true, message: 'Data migrations: done.' });
    }
  }
}

let finished = false;

/** Holds what a migration does to the process itself: its prints spoil no NDJSON, its process.exit() is no success. */
function guard(report: Report, json: boolean): void {
  if (json) globalThis.console = new Console(process.stderr);
  process.once('exit', (code) => {
    if (finished) return;
    const exitCode = code || EXIT.failed;
    const error =
      'cannot finish the data migrations: one of them ended the process. It is not recorded; take process.exit() out of it';
    report({ type: 'result', ok: false, exitCode, error });
    process.exitCode = exitCode;
  });
}

// A terminal or a pipe that goes away must not end a run in the middle.
process.stdout.on('error', () => {});
process.stderr.on('error', () => {});
process.on('SIGHUP', () => {});

const exitCode = await main(process.argv.slice(2));
finished = true;
process.exit(exitCode);
