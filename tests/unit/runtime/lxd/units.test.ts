import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import {
  admission,
  environmentFile,
  serviceOf,
  serviceUnit,
  stopSettings,
  unitOf,
} from '../../../../orchestrator/runtime/lxd/units.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

const settings = {
  user: '1000',
  unfinished: '/srv/shop/.holdfast/unfinished',
  description: 'the API of shop',
};
const launch = {
  ...{ name: 'api', argv: ['node', 'dist/main.js'], cwd: '/srv/shop/backend' },
  ...{ logFile: '/srv/shop/.holdfast/logs/api.log', env: { PATH: '/opt/node/bin:/usr/bin' } },
};

/** What a unit sets, by section and name; what is set more than once as a list. */
function parsed(text: string): Record<string, string[]> {
  const found: Record<string, string[]> = {};
  let section = '';
  for (const line of text.split('\n')) {
    if (/^\[.*\]$/.test(line)) section = line.slice(1, -1);
    else if (line !== '')
      (found[`${section}.${line.slice(0, line.indexOf('='))}`] ??= []).push(
        line.slice(line.indexOf('=') + 1),
      );
  }
  return found;
}

const unit = (over: Partial<typeof launch> = {}, more: Partial<typeof settings> = {}) =>
  parsed(serviceUnit({ ...launch, ...over }, { ...settings, ...more }));

/** What systemd makes of the words of a command line: quotes, escapes, specifiers and variables (systemd.service(5)). */
function readByServiceManager(line: string): string[] {
  return [...line.matchAll(/"((?:[^"\\]|\\.)*)"/g)].map(([, quoted = '']) =>
    quoted
      .replaceAll(/\\(.)/g, (_, one: string) => (one === 'n' ? '\n' : one))
      .replaceAll('%%', '%')
      .replaceAll('$$', '$'),
  );
}

describe('the unit of a service', () => {
  test('says all that its service needs', () => {
    expect(unit()).toEqual({
      'Unit.Description': ['the API of shop'],
      'Unit.Wants': ['network-online.target'],
      'Unit.After': ['network-online.target'],
      'Unit.StartLimitIntervalSec': ['0'],
      'Unit.ConditionPathExists': ['|!/srv/shop/.holdfast/unfinished', `|${admission}`],
      'Service.Type': ['exec'],
      'Service.User': ['1000'],
      'Service.WorkingDirectory': ['/srv/shop/backend'],
      'Service.EnvironmentFile': ['/etc/holdfast/api.env'],
      'Service.ExecSearchPath': ['/opt/node/bin:/usr/bin'],
      'Service.ExecStart': ['"node" "dist/main.js"'],
      'Service.StandardOutput': ['append:/srv/shop/.holdfast/logs/api.log'],
      'Service.StandardError': ['append:/srv/shop/.holdfast/logs/api.log'],
      'Service.Restart': ['on-failure'],
      'Service.RestartSec': ['2'],
      'Service.NoNewPrivileges': ['true'],
      'Install.WantedBy': ['multi-user.target'],
    });
  });

  test('either of its conditions is enough: no run is open, or an update has let it in', () => {
    // Without the bar both would have to hold, and no service would start in the window.
    for (const condition of unit()['Unit.ConditionPathExists'] ?? []) expect(condition).toMatch(/^\|/);
    expect(admission).toMatch(/^\/run\//);
  });

  test.each([
    ['a percent sign', '100%h'],
    ['a variable', '$HOME ${HOME}'],
    ['quotes', `he said "no", it's so`],
    ['a backslash', String.raw`C:\new`],
    ['a line end', 'one\ntwo'],
    ['blanks at both ends', ' x '],
    ['nothing', ''],
    ['a semicolon of its own', ';'],
    ['all of it', '%n $$ "\\" \n;'],
  ])('an argument with %s is given on as it is, on one line', (_what, argument) => {
    const lines = unit({ argv: ['node', argument] })['Service.ExecStart'] ?? [];
    expect(lines).toHaveLength(1);
    expect(readByServiceManager(lines[0] ?? '')).toEqual(['node', argument]);
    expect(lines[0]?.replaceAll('%%', '').replaceAll('$$', '')).not.toMatch(/[%$]/);
  });

  test.each([
    ['node', 'node'],
    ['./serve', '/srv/shop/backend/serve'],
    ['bin/serve', '/srv/shop/backend/bin/serve'],
    ['/usr/bin/serve', '/usr/bin/serve'],
  ])('its program %s is %s, as it is without containers', (program, inside) => {
    const [line = ''] = unit({ argv: [program, './x'] })['Service.ExecStart'] ?? [];
    expect(readByServiceManager(line)).toEqual([inside, './x']);
  });

  test('paths and words with a percent sign are no specifiers', () => {
    const odd = unit(
      { cwd: '/srv/100%h', logFile: '/srv/50%u.log' },
      { unfinished: '/srv/%t/unfinished', description: '100% of shop' },
    );
    expect(odd).toMatchObject({
      'Unit.Description': ['100%% of shop'],
      'Unit.ConditionPathExists': ['|!/srv/%%t/unfinished', `|${admission}`],
      'Service.WorkingDirectory': ['/srv/100%%h'],
      'Service.StandardOutput': ['append:/srv/50%%u.log'],
      'Service.StandardError': ['append:/srv/50%%u.log'],
    });
  });

  test('its name leads to its service and back, and other units are none of ours', () => {
    expect(unitOf('api')).toBe('holdfast-api.service');
    expect(serviceOf(unitOf('api'))).toBe('api');
    expect(serviceOf('holdfast-recovery.timer')).toBeUndefined();
    expect(serviceOf('postgresql@15-main.service')).toBeUndefined();
  });
});

describe('how a service is ended', () => {
  test('is said by signal, by whom it reaches, and by how long it may take', () => {
    expect(parsed(stopSettings({ signal: 'SIGINT', timeoutMs: 30_000, kill: 'group' }))).toEqual({
      'Service.KillSignal': ['SIGINT'],
      'Service.KillMode': ['control-group'],
      'Service.TimeoutStopSec': ['30'],
    });
    expect(parsed(stopSettings({ signal: 'SIGTERM', timeoutMs: 1500, kill: 'process' }))).toEqual({
      'Service.KillSignal': ['SIGTERM'],
      'Service.KillMode': ['mixed'],
      // Rounded up: 0 would mean without an end.
      'Service.TimeoutStopSec': ['2'],
    });
  });
});

describe('an environment', () => {
  const odd = {
    PLAIN: 'one',
    EMPTY: '',
    QUOTES: `"double" 'single'`,
    DOLLARS: '$HOME ${HOME} `id`',
    BACKSLASHES: String.raw`\n \\ end\ `.trim(),
    LINES: 'one\ntwo\n\nfour',
    COMMENT: '# none; of this',
    BLANKS: '  both ends  ',
    PERCENT: '100%h',
    LETTERS: 'ä€😀',
  };

  test('is read back as it was, whatever stands in it: the rules of quotes are those of a shell', () => {
    const file = join(temporaryFolder(), 'api.env');
    writeFileSync(file, environmentFile(odd));
    const names = Object.keys(odd);
    const print = `. "$0"; for one; do eval "printf '%s\\\\0' \\"\\$$one\\""; done`;
    const read = execFileSync('sh', ['-c', print, file, ...names], { encoding: 'utf8' }).split('\0');
    expect(Object.fromEntries(names.map((name, at) => [name, read[at]]))).toEqual(odd);
  });

  test('has one entry a name, which no value can add to', () => {
    expect(environmentFile({ A: 'x"\nB="y', C: '1' })).toBe('A="x\\"\nB=\\"y"\nC="1"\n');
    expect(environmentFile({})).toBe('');
  });
});
