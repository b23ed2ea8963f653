/** Files that are either whole or not there. */
import { open, rm } from 'node:fs/promises';
import { TillerError } from '../../recipes/errors.ts';

const FULL = new Set(['ENOSPC', 'EDQUOT', 'EFBIG']);

/** Runs `write`, and names a full disk for what it is. */
export async function onDisk<T>(folder: string, write: () => Promise<T>): Promise<T> {
  try {
    return await write();
  } catch (error) {
    if (!FULL.has((error as NodeJS.ErrnoException).code ?? '')) throw error;
    throw new TillerError('DISK_FULL', `No space is left for ${folder}`, {
      hint: 'Make room; the run goes on by itself.',
      cause: error,
    });
  }
}

export async function writeSynced(path: string, text: string): Promise<void> {
  await using file = await open(path, 'wx');
  await file.writeFile(text);
  await file.sync();
}

export async function syncFolder(path: string): Promise<void> {
  await using folder = await open(path, 'r');
  await folder.sync();
}

export const removeFolder = (path: string): Promise<void> =>
  rm(path, { recursive: true, force: true });
