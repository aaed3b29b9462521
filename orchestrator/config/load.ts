import { existsSync, readFileSync, realpathSync, statSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { parseDocument } from 'yaml';
import { hasCode, messageOf, UsageError } from '../lib/errors.ts';
import { withBoxSettings } from './box-settings.ts';
import { parseConfig, type Problem } from './parse.ts';
import type { Config } from './schema.ts';

/** A configuration that cannot be used: the sentence for people, and every problem by itself for programs. */
export class ConfigurationError extends UsageError {
  readonly problems: readonly Problem[];

  constructor(message: string, problems: readonly Problem[], next: string) {
    super(message, next);
    this.problems = problems;
  }
}

/** A configuration with the places it speaks of, as absolute paths. */
export interface Loaded {
  readonly config: Config;
  /** The file it was read from. */
  readonly file: string;
  /** The checkout of the appliance. */
  readonly directory: string;
  readonly stateDirectory: string;
  readonly backupsDirectory: string;
}

/**
 * Reads and checks the configuration of an appliance.
 *
 * @param path the checkout, or a file that describes the checkout it lies in
 * @param options.lenient what the configuration names may be missing: a rollback is what brings it back
 * @throws ConfigurationError that lists every problem with its path and what was found
 */
export function loadAppliance(path: string, options: { lenient?: boolean } = {}): Loaded {
  const typed = resolve(path);
  const isDirectory = existsSync(typed) && statSync(typed).isDirectory();
  const folder = isDirectory ? typed : dirname(typed);
  // Reached by a link it is the same checkout: what is remembered and mounted goes by where it lies.
  const directory = existsSync(folder) ? realpathSync(folder) : folder;
  const file = join(directory, isDirectory ? 'appliance.yaml' : basename(typed));
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    const why = hasCode(error, 'ENOENT') ? 'there is no such file' : messageOf(error);
    throw new UsageError(
      `cannot read the configuration ${file}: ${why}`,
      'write appliance.yaml (README, "Adopting Holdfast"), or name another place with --appliance PATH',
    );
  }
  const vendors = parseConfigText(text, file);
  const config = withBoxSettings(vendors, resolve(directory, vendors.stateDirectory));
  const loaded = place(config, file, directory);
  const missing = options.lenient === true ? [] : findMissingFiles(loaded);
  if (missing.length > 0) throw configurationError(file, missing);
  return loaded;
}

/** Parses and checks the text of an appliance.yaml. `where` names it in errors. Throws ConfigurationError. */
export function parseConfigText(text: string, where: string): Config {
  const document = parseDocument(text, { prettyErrors: true });
  if (document.errors.length > 0) {
    const problems = document.errors.map((error) => ({
      path: `line ${error.linePos?.[0].line ?? '?'}`,
      message: error.message.split('\n')[0] ?? 'is not YAML',
    }));
    throw configurationError(where, problems);
  }
  let raw: unknown;
  try {
    raw = document.toJS();
  } catch (error) {
    // References to nothing, and those that would grow without end, are found only now.
    throw configurationError(where, [{ path: '(the whole file)', message: messageOf(error) }]);
  }
  const parsed = parseConfig(raw ?? {});
  if (!parsed.ok) throw configurationError(where, parsed.problems);
  return parsed.config;
}

/** Resolves the places of a configuration against its checkout. */
export function place(config: Config, file: string, directory: string): Loaded {
  return {
    config,
    file,
    directory,
    stateDirectory: resolve(directory, config.stateDirectory),
    backupsDirectory: resolve(directory, config.backups.directory),
  };
}

function configurationError(where: string, problems: readonly Problem[]): ConfigurationError {
  const lines = problems.map(({ path, message }) => `  ${path}: ${message}`);
  const count = problems.length === 1 ? 'one problem' : `${problems.length} problems`;
  return new ConfigurationError(
    `cannot use ${where}: ${count}. Nothing was changed.\n${lines.join('\n')}`,
    problems,
    'mend the file and try again; ./run.sh config prints what was understood',
  );
}

/** What the configuration names and the checkout does not have. */
function findMissingFiles({ config, directory }: Loaded): Problem[] {
  const problems: Problem[] = [];
  const need = (path: string, relative: string) => {
    if (!existsSync(join(directory, relative)))
      problems.push({ path, message: `there is no ${relative} in ${directory}` });
  };
  for (const [name, build] of Object.entries(config.builds)) {
    need(`builds.${name}.dir`, build.dir);
    if (build.install === 'auto') need(`builds.${name}.install`, join(build.dir, 'package-lock.json'));
  }
  for (const [name, service] of Object.entries(config.services)) need(`services.${name}.dir`, service.dir);
  config.env.files.forEach((file, index) => need(`env.files[${index}]`, file));
  if (config.prisma) {
    need('prisma.dir', config.prisma.dir);
    if (config.prisma.dataMigrations) {
      need('prisma.dataMigrations.dir', join(config.prisma.dataMigrations.dir, 'run.sh'));
    }
  }
  return problems;
}
