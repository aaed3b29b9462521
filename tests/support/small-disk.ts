import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statfsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export type DiskType = 'ext4' | 'xfs' | 'btrfs' | 'tmpfs';

export interface DiskOptions {
  readonly type?: DiskType;
  readonly megabytes: number;
  /** How many files it can hold (ext4 and tmpfs); what mkfs thinks right otherwise. */
  readonly inodes?: number;
  /** Options of its mount, such as `commit=300`. */
  readonly mount?: string;
}

const folderPrefix = 'holdfast-disk-';
const ballast = '.ballast';

const run = (file: string, ...args: string[]): string =>
  execFileSync(file, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });

/**
 * A small file system of a test's own, which can be filled to its last block. On a loop device (but for tmpfs), its
 * image in memory where there is room: so a copy of the image is what a power cut leaves. `removeAll` takes away every
 * disk of this process, and those that processes left which are gone by now.
 */
export class SmallDisk {
  readonly mountPoint: string;
  readonly image: string;
  readonly #folder: string;
  readonly #options: DiskOptions;
  #device: string | undefined;

  private constructor(mountPoint: string, folder: string, options: DiskOptions) {
    this.mountPoint = mountPoint;
    this.image = join(folder, 'image');
    this.#folder = folder;
    this.#options = options;
  }

  /** Makes a file system and mounts it on a folder, which is created where it is missing. */
  static make(mountPoint: string, options: DiskOptions): SmallDisk {
    removeStale();
    const folder = mkdtempSync(join(imagesFolder(options), `${folderPrefix}${process.pid}-`));
    const disk = new SmallDisk(mountPoint, folder, options);
    disks.add(disk);
    mkdirSync(mountPoint, { recursive: true });
    if (options.type !== 'tmpfs') {
      run('truncate', `--size=${options.megabytes}M`, disk.image);
      run(...makeFileSystem(disk.image, options));
    }
    disk.mount();
    return disk;
  }

  /** Ends every disk of this process. For afterAll: it works after a failure as well, and may be run twice. */
  static removeAll(): void {
    for (const disk of [...disks].toReversed()) disk.remove();
    removeStale();
  }

  /** Mounts its own image, or another one, at the same place. */
  mount(image = this.image): void {
    const { type = 'ext4', megabytes, inodes, mount } = this.#options;
    if (type === 'tmpfs') {
      const limits = [`size=${megabytes}m`, ...(inodes === undefined ? [] : [`nr_inodes=${inodes}`])];
      run('mount', '-t', 'tmpfs', '-o', ['mode=0755', ...limits].join(','), folderPrefix, this.mountPoint);
      return;
    }
    this.#device = run('losetup', '--find', '--show', image).trim();
    const options = mount === undefined ? [] : ['-o', mount];
    run('mount', '-t', type, ...options, this.#device, this.mountPoint);
  }

  /** Unmounts it. Whoever works on it must have ended. */
  unmount(): void {
    if (isMounted(this.mountPoint)) patiently(() => run('umount', this.mountPoint));
    const device = this.#device;
    if (device !== undefined) {
      patiently(() => run('losetup', '--detach', device));
      // Processes that are just ending may hold it in a mount namespace of theirs; then it goes with the last of them.
      patiently(() => {
        if (backingFileOf(device)?.startsWith(this.#folder)) throw new Error(`${device} is still in use`);
      });
    }
    this.#device = undefined;
  }

  /** Takes it away. A descriptor that this process still has open on it does not keep it: it goes with that. */
  remove(): void {
    if (isMounted(this.mountPoint)) run('umount', '--lazy', this.mountPoint);
    if (this.#device !== undefined) run('losetup', '--detach', this.#device);
    this.#device = undefined;
    execFileSync('rmdir', ['--ignore-fail-on-non-empty', this.mountPoint]);
    rmSync(this.#folder, { recursive: true, force: true });
    disks.delete(this);
  }

  /** Takes every block that is left but for so many bytes, as a stranger's file would. */
  fill(leftBytes = 0): void {
    let number = 0;
    for (let bytes = this.freeBytes - leftBytes; bytes >= 4096;) {
      const path = join(this.mountPoint, `${ballast}-${number}`);
      try {
        run('fallocate', '--length', String(bytes), path);
        number += 1;
      } catch {
        rmSync(path, { force: true });
        bytes = Math.floor(bytes / 2);
        continue;
      }
      bytes = Math.min(bytes, this.freeBytes - leftBytes);
    }
  }

  /** Takes every inode that is left: no file can be made any more, though there is room. */
  fillInodes(): void {
    const folder = join(this.mountPoint, `${ballast}-inodes`);
    mkdirSync(folder);
    const script = 'cd "$1" && i=0 && while : > "$i"; do i=$((i + 1)); done 2>/dev/null';
    execFileSync('sh', ['-c', `${script}; true`, 'sh', folder], { stdio: 'ignore' });
  }

  /** Gives back what `fill` and `fillInodes` took. */
  makeRoom(): void {
    for (const name of readdirSync(this.mountPoint))
      if (name.startsWith(ballast)) rmSync(join(this.mountPoint, name), { recursive: true, force: true });
  }

  get freeBytes(): number {
    const { bavail, bsize } = statfsSync(this.mountPoint);
    return bavail * bsize;
  }

  /** How much was written to the device so far: equal numbers are equal disks. */
  get written(): string {
    const name = this.#device?.replace('/dev/', '') ?? '';
    const fields = readFileSync(`/sys/block/${name}/stat`, 'utf8').trim().split(/\s+/);
    return [fields[4], fields[6], fields[8]].join(' ');
  }

  /**
   * What the disk would hold if the power went now, as a file beside the image: nothing is written out before. A copy
   * during which the device was written to is no instant, and is made again. False if that did not end.
   */
  copyImage(to: string): boolean {
    for (let attempt = 0; attempt < 20; attempt += 1) {
      const before = this.written;
      run('cp', '--reflink=auto', '--sparse=always', this.image, to);
      if (before === this.written && before.endsWith(' 0')) return true;
    }
    rmSync(to, { force: true });
    return false;
  }

  /** A path for a copy of the image. */
  copyPath(name: string): string {
    return join(this.#folder, name);
  }
}

const disks = new Set<SmallDisk>();

function makeFileSystem(image: string, { type, inodes }: DiskOptions): [string, ...string[]] {
  // No blocks kept for root: full is to mean full.
  if (type === 'xfs') return ['mkfs.xfs', '-q', '-f', image];
  if (type === 'btrfs') return ['mkfs.btrfs', '-q', '-f', '--mixed', image];
  return [
    'mkfs.ext4',
    '-q',
    '-F',
    '-b',
    '4096',
    '-m',
    '0',
    ...(inodes === undefined ? [] : ['-N', String(inodes)]),
    image,
  ];
}

function imagesFolder({ megabytes }: DiskOptions): string {
  const memory = '/dev/shm';
  if (!existsSync(memory)) return tmpdir();
  const { bavail, bsize } = statfsSync(memory);
  return bavail * bsize > 8 * megabytes * 1024 * 1024 ? memory : tmpdir();
}

function backingFileOf(device: string): string | undefined {
  try {
    return readFileSync(`/sys/block/${device.replace('/dev/', '')}/loop/backing_file`, 'utf8');
  } catch {
    return undefined;
  }
}

function isMounted(path: string): boolean {
  const escaped = path.replaceAll(' ', '\\040');
  return readFileSync('/proc/self/mounts', 'utf8')
    .split('\n')
    .some((line) => line.split(' ')[1] === escaped);
}

/** The last process on a disk may be just ending. */
function patiently(act: () => void): void {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return act();
    } catch (error) {
      if (attempt === 100) throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 50);
    }
  }
}

/** Disks of test runs that were killed: found by the number of the process in the name of their image's folder. */
function removeStale(): void {
  for (const parent of new Set(['/dev/shm', tmpdir()])) {
    if (!existsSync(parent)) continue;
    for (const name of readdirSync(parent)) {
      const owner = new RegExp(`^${folderPrefix}(\\d+)-`).exec(name)?.[1];
      if (owner === undefined || existsSync(`/proc/${owner}`)) continue;
      const folder = join(parent, name);
      const listed = JSON.parse(run('losetup', '--list', '--json', '--output', 'NAME,BACK-FILE') || '{}') as {
        loopdevices?: { name: string; 'back-file': string | null }[];
      };
      for (const { name: device, 'back-file': file } of listed.loopdevices ?? []) {
        if (file?.startsWith(`${folder}/`) !== true) continue;
        execFileSync('sh', ['-c', 'umount --lazy "$1" 2>/dev/null; losetup --detach "$1"', 'sh', device], {
          stdio: 'ignore',
        });
      }
      rmSync(folder, { recursive: true, force: true });
    }
  }
}
