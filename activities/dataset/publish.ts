import { randomUUID } from 'node:crypto';
import { mkdir, readdir, rename, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { removeFolder, syncFolder, writeSynced } from './disk.ts';
import { isIntact, MANIFEST } from './manifest.ts';
import type { Manifest } from './types.ts';

const TEMPORARY = '.preparing-';
const ABANDONED_MS = 24 * 3600 * 1000;

export async function temporaryFolder(datasetsFolder: string): Promise<string> {
  await mkdir(datasetsFolder, { recursive: true });
  await sweep(datasetsFolder);
  const folder = join(datasetsFolder, `${TEMPORARY}${randomUUID()}`);
  await mkdir(folder);
  return folder;
}

/**
 * Gives a finished temporary folder its name. A set of that name that is intact stays, as others
 * may be reading it; a damaged one makes way.
 */
export async function publish(
  temporary: string,
  datasetsFolder: string,
  manifest: Manifest,
): Promise<{ path: string; reused: boolean }> {
  const folder = join(datasetsFolder, manifest.hash);
  const path = join(folder, MANIFEST);
  if (await isIntact(folder, manifest.hash)) {
    await removeFolder(temporary);
    return { path, reused: true };
  }
  await writeSynced(join(temporary, MANIFEST), `${JSON.stringify(manifest)}\n`);
  await syncFolder(temporary);
  const reused = await renameInto(temporary, folder, manifest.hash);
  await syncFolder(datasetsFolder);
  return { path, reused };
}

async function renameInto(temporary: string, folder: string, hash: string): Promise<boolean> {
  try {
    await rename(temporary, folder);
    return false;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'ENOTEMPTY' && code !== 'EEXIST') throw error;
  }
  // Another run may have published the same set since it was looked for.
  if (await isIntact(folder, hash)) {
    await removeFolder(temporary);
    return true;
  }
  const aside = `${temporary}-damaged`;
  await rename(folder, aside);
  await rename(temporary, folder);
  await removeFolder(aside);
  return false;
}

/** Removes what was left by preparations that were killed. */
async function sweep(datasetsFolder: string): Promise<void> {
  for (const name of await readdir(datasetsFolder)) {
    if (!name.startsWith(TEMPORARY)) continue;
    const path = join(datasetsFolder, name);
    const { mtimeMs } = await stat(path).catch(() => ({ mtimeMs: Infinity })); // swept by another
    if (Date.now() - mtimeMs > ABANDONED_MS) await removeFolder(path);
  }
}
