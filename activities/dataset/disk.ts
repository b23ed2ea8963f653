/** Files that are either whole or not there. */
import type { Stats } from 'node:fs';
import { open, rm, stat } from 'node:fs/promises';
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

export const isAbsent = (error: unknown): boolean =>
  ['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '');

/** Undefined where there is nothing; a disk that fails is for the caller. */
export async function statIfThere(path: string): Promise<Stats | undefined> {
  try {
    return await stat(path);
  } catch (error) {
    if (isAbsent(error)) return undefined;
    throw error;
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
