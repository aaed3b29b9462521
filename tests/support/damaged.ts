import { cpSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';

/** Damages a folder, looks, and puts it back as it was. */
export async function damaged<T>(
  folder: string,
  kept: string,
  damage: (folder: string) => void,
  look: () => Promise<T>,
): Promise<T> {
  cpSync(folder, kept, { recursive: true, preserveTimestamps: true });
  try {
    damage(folder);
    return await look();
  } finally {
    rmSync(folder, { recursive: true });
    renameSync(kept, folder);
  }
}

/** Changes some bits of one byte. */
export function flip(path: string, position: number, bits: number): void {
  const bytes = readFileSync(path);
  const at = position % bytes.length;
  bytes.writeUInt8(bytes.readUInt8(at) ^ bits, at);
  writeFileSync(path, bytes);
}
