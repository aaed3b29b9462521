import type { Command } from '../runtime/runtime.ts';

/** What a boot unit is about. All paths are absolute. */
export interface BootUnit {
  readonly appliance: string;
  readonly directory: string;
  /** run.sh. */
  readonly door: string;
  /** Global options for each call, such as --appliance. */
  readonly options: readonly string[];
  readonly user: string;
  /** Units of the machine that have to be at work before. */
  readonly after: readonly string[];
  /** PATH: at boot there is no login shell that would find Node. */
  readonly path: string;
}

export const bootUnitName = (appliance: string) => `holdfast-${appliance}.service`;

/** Its first line, by which we know a unit as ours: `--boot-recovery` replaces no other. */
export const bootUnitMark = (directory: string) => `# Written by Holdfast for ${JSON.stringify(directory)}.`;

/**
 * The unit that brings an appliance back after a reboot: first `recover`, then the services that ran before. It stays
 * "active" when both have ended, since systemd would otherwise end what they started. 10 is a success: restored.
 */
export function bootUnitText(unit: BootUnit): string {
  const call = (...words: string[]) =>
    ['/usr/bin/env', 'bash', ...[unit.door, ...unit.options, ...words].map(quoteArgument)].join(' ');
  return `${bootUnitMark(unit.directory)}
# "./run.sh setup --no-boot-recovery" removes it.
[Unit]
Description=Holdfast: recover and start ${unit.appliance}
Wants=network-online.target
After=${['network-online.target', ...unit.after].join(' ')}
RequiresMountsFor=${quoteValue(unit.directory)}

[Service]
Type=oneshot
RemainAfterExit=yes
User=${unit.user}
Environment=${quoteValue(`PATH=${unit.path}`)}
ExecStart=${call('recover')}
ExecStart=${call('start', '--as-before')}
SuccessExitStatus=10
TimeoutStartSec=infinity

[Install]
WantedBy=multi-user.target
`;
}

/** One word of a setting: quoted, backslashes and specifiers escaped (systemd.syntax(7), systemd.unit(5)). */
function quoteValue(text: string): string {
  const escaped = text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
  return `"${escaped.replaceAll('%', '%%')}"`;
}

/** One argument of a command line, where a dollar would begin a variable as well (systemd.service(5)). */
function quoteArgument(text: string): string {
  return quoteValue(text).replaceAll('$', '$$$$');
}

export const reloadUnits = (): Command => ({
  file: 'systemctl',
  args: ['daemon-reload'],
  timeoutMs: 60_000,
  label: 'systemctl daemon-reload',
});

/** The same for machines without systemd: a line for crontab(5), where a percent sign would end the line. */
export function cronLine({ door, options }: Pick<BootUnit, 'door' | 'options'>): string {
  const words = [door, ...options, 'start', '--as-before'];
  const quote = (text: string) => (/^[\w@:,./+-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`);
  return `@reboot ${words.map(quote).join(' ').replaceAll('%', '\\%')}`;
}
