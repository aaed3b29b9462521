import { existsSync } from 'node:fs';
import { dirname } from 'node:path';
import { messageOf, Refusal } from '../../lib/errors.ts';
import { shellWord } from '../../lib/shell-word.ts';
import { CommandError, type Runtime } from '../../runtime/runtime.ts';
import { describeHolders, findHolders } from './holders.ts';
import { exitBusy, exitDamaged, exitFull, type Answers, type Request } from './requests.ts';

/** The file is gone, damaged, or none of SQLite's. */
export class UnreadableError extends Refusal {}

/**
 * Asks SQLite, in a process of its own. Which SQLite: that of the Node that runs us (`node:sqlite`, built in since 22.5).
 * Holdfast brings Node 24 wherever the machine has an older one (run.sh), so it is there whatever the appliance runs on;
 * it is built from SQLite's own sources, with the same locks of the kernel that every other program's SQLite takes, which
 * ports to WebAssembly are not; and nothing is downloaded or compiled for it.
 */
export class SqliteClient {
  readonly #runtime: Runtime;
  readonly #node: string;
  readonly #program: string;

  constructor(runtime: Runtime, node: string, program: string) {
    this.#runtime = runtime;
    this.#node = node;
    this.#program = program;
  }

  /**
   * @throws Refusal where somebody else keeps it locked (with who that is), or where there is no such file;
   *   Error with SQLite's words otherwise
   */
  async ask<Operation extends keyof Answers>(
    operation: Operation,
    file: string,
    more: Omit<Request, 'operation' | 'file'> & { readonly signal?: AbortSignal | undefined } = {},
  ): Promise<Answers[Operation]> {
    if (operation !== 'create' && !existsSync(file)) throw noSuchFile(file);
    const { signal, ...rest } = more;
    try {
      const { stdout } = await this.#runtime.run(
        {
          file: this.#node,
          args: ['--disable-warning=ExperimentalWarning', this.#program, operation],
          input: JSON.stringify({ operation, file, ...rest } satisfies Request),
          addEnv: { NODE_OPTIONS: '' },
          label: `sqlite ${operation}`,
          timeoutMs: 3_600_000,
        },
        signal === undefined ? {} : { signal },
      );
      return JSON.parse(stdout) as Answers[Operation];
    } catch (error) {
      if (!(error instanceof CommandError)) throw error;
      throw explain(error, file);
    }
  }
}

const noSuchFile = (file: string) =>
  new UnreadableError(
    `cannot open the database: there is no file ${file}`,
    './run.sh rollback brings back that of the newest snapshot; for a new appliance: ./run.sh setup',
  );

function explain(error: CommandError, file: string): Error {
  if (error.stderr.includes('No such built-in module: node:sqlite'))
    return new Refusal(
      'cannot open the database: this Node was built without SQLite',
      "take it from PATH, so that run.sh brings one that has it, or install Node's own build",
      error,
    );
  if (error.exitCode === exitDamaged)
    return new UnreadableError(
      `cannot read the database ${file}: ${error.stderr.trim()}`,
      './run.sh rollback --without-safety brings back the last good one, and keeps this file beside it',
      error,
    );
  if (error.exitCode === exitFull)
    return new Refusal(
      `no space left on the disk of the database ${file} (SQLite: ${error.stderr.trim()})`,
      `make room there (df -h ${shellWord(dirname(file))}), then try again`,
      error,
    );
  if (error.exitCode !== exitBusy)
    return new Error(error.stderr.trim() || messageOf(error), { cause: error });
  const holders = findHolders(file);
  return new Refusal(
    `the database ${file} is locked${holders.length === 0 ? '' : ` by ${describeHolders(holders)}`}`,
    holders.length === 0
      ? 'try again; if it stays locked, a program of another user holds it: sudo fuser -v the file shows which'
      : `stop it (kill ${holders.map(({ pid }) => pid).join(' ')}), then try again`,
    error,
  );
}
