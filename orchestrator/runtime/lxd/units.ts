import { isAbsolute, join } from 'node:path';
import type { ServiceLaunch, StopPolicy } from '../runtime.ts';

/* Units of systemd, as text. Forms: systemd.unit(5), systemd.exec(5), systemd.service(5). */

export const unitOf = (service: string) => `holdfast-${service}.service`;
export const serviceOf = (unit: string) => /^holdfast-(.+)\.service$/.exec(unit)?.[1];

/** Where a container keeps what belongs to its units. */
export const environmentFolder = '/etc/holdfast';

/**
 * Made by an update inside its window, in a folder that a reboot empties: only with it does a unit start while a run is
 * open.
 */
export const admission = '/run/holdfast/admitted';

/** `%` begins a specifier everywhere. */
const literal = (text: string) => text.replaceAll('%', '%%');

/** One argument of a command: `$` would be a variable. */
const argument = (text: string) =>
  `"${literal(text).replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('$', '$$$$').replaceAll('\n', '\\n')}"`;

/** systemd takes a program by its name or by its whole path; elsewhere one such as ./serve is meant from the folder. */
const programIn = (cwd: string, program: string) =>
  program.includes('/') && !isAbsolute(program) ? join(cwd, program) : program;

/** @param unfinished the file that is there while a run is open: after a reboot in the middle of it nothing starts by itself */
export function serviceUnit(
  { name, argv, cwd, env, logFile }: Pick<ServiceLaunch, 'name' | 'argv' | 'cwd' | 'env' | 'logFile'>,
  { user, unfinished, description }: { user: string; unfinished: string; description: string },
): string {
  const [program = '', ...args] = argv;
  const path = env['PATH'];
  return [
    '[Unit]',
    `Description=${literal(description)}`,
    'Wants=network-online.target',
    'After=network-online.target',
    // A database whose container comes later is waited for, however long that takes.
    'StartLimitIntervalSec=0',
    `ConditionPathExists=|!${literal(unfinished)}`,
    `ConditionPathExists=|${admission}`,
    '[Service]',
    'Type=exec',
    `User=${user}`,
    `WorkingDirectory=${literal(cwd)}`,
    `EnvironmentFile=${environmentFolder}/${name}.env`,
    // Where it looks for the program itself: PATH is for what that starts.
    ...(path === undefined ? [] : [`ExecSearchPath=${literal(path)}`]),
    `ExecStart=${[programIn(cwd, program), ...args].map(argument).join(' ')}`,
    `StandardOutput=append:${literal(logFile)}`,
    `StandardError=append:${literal(logFile)}`,
    'Restart=on-failure',
    'RestartSec=2',
    'NoNewPrivileges=true',
    '[Install]',
    'WantedBy=multi-user.target',
    '',
  ].join('\n');
}

/** How a service is to be ended, which is known only when it is. */
export function stopSettings({ signal, timeoutMs, kill }: StopPolicy): string {
  return [
    '[Service]',
    `KillSignal=${signal}`,
    `KillMode=${kill === 'process' ? 'mixed' : 'control-group'}`,
    `TimeoutStopSec=${Math.ceil(timeoutMs / 1000)}`,
    '',
  ].join('\n');
}

/** In the form of EnvironmentFile: in double quotes, in which a line may end. */
export function environmentFile(environment: Readonly<Record<string, string>>): string {
  return Object.entries(environment)
    .map(([name, value]) => `${name}="${value.replaceAll(/["\\`$]/g, String.raw`\$&`)}"\n`)
    .join('');
}
