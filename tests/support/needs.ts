import { execaSync } from 'execa';
import { testedDatabase } from './tested-database.ts';

const succeeds = (file: string, ...args: string[]): boolean =>
  execaSync(file, args, { reject: false }).exitCode === 0;
const has = (program: string): boolean => succeeds('which', program);

/** What some tests need and not every machine has: how it is found out, and what to do about it. */
const needed = {
  root: { there: () => process.getuid?.() === 0, remedy: 'run the tests as root' },
  // Root may, unless it is the root of a container.
  mount: {
    there: () => succeeds('unshare', '--mount', 'true'),
    remedy: 'run the tests as root of a machine',
  },
  loop: {
    there: () => process.getuid?.() === 0 && has('mkfs.ext4') && succeeds('losetup', '--find'),
    remedy: 'run the tests as root of a machine with loop devices and e2fsprogs',
  },
  attr: { there: () => has('setfattr') && has('getfattr'), remedy: 'apt-get install attr' },
  curl: { there: () => has('curl'), remedy: 'apt-get install curl' },
  script: { there: () => has('script'), remedy: 'apt-get install bsdutils' },
  systemd: { there: () => has('systemd-analyze'), remedy: 'apt-get install systemd' },
  capabilities: {
    there: () => process.getuid?.() === 0 && has('setcap') && has('getfattr'),
    remedy: 'run the tests as root; apt-get install libcap2-bin attr',
  },
  immutable: {
    there: () =>
      succeeds('sh', '-c', 'd=$(mktemp -d) && chattr +i "$d" && chattr -i "$d"; s=$?; rmdir "$d"; exit $s'),
    remedy: 'run the tests as root, with e2fsprogs, and with TMPDIR on ext4, XFS or btrfs',
  },
  device: {
    there: () => succeeds('sh', '-c', 'd=$(mktemp -d) && mknod "$d/null" c 1 3; s=$?; rm -r "$d"; exit $s'),
    remedy: 'run the tests as root of a machine',
  },
  postgresql: {
    there: () => testedDatabase === 'postgresql',
    remedy: 'it is about what only that engine has',
  },
  acl: { there: () => has('setfacl') && has('getfattr'), remedy: 'apt-get install acl attr' },
} as const;

export type Need = keyof typeof needed;

const known = new Map<Need, boolean>();

/** True if this machine has it. */
export function can(need: Need): boolean {
  const answer = known.get(need) ?? needed[need].there();
  known.set(need, answer);
  return answer;
}

/** Skips a test that cannot be run here, with the reason, which the list after the run shows. */
export function needs(test: { skip: (note?: string) => never }, ...names: readonly Need[]): void {
  const missing = names.filter((name) => !can(name));
  if (missing.length > 0)
    test.skip(missing.map((name) => `needs ${name}: ${needed[name].remedy}`).join('; '));
}
