import type { Dirent } from 'node:fs';
import { readdir, realpath, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { TillerError } from '../../recipes/errors.ts';

/**
 * Relative paths of all files below the folder, symbolic links followed; names that begin with a dot
 * are skipped.
 * @param key of the recipe that names it, for messages
 */
export async function walkFolder(
  folder: string,
  signal?: AbortSignal,
  key = 'data.folder',
): Promise<string[]> {
  const files: string[] = [];
  const seen = new Set<string>(); // real paths, so that a link to a parent is no endless way
  const visit = async (relative: string): Promise<void> => {
    signal?.throwIfAborted();
    const path = join(folder, relative);
    const real = await realpath(path);
    if (seen.has(real)) return;
    seen.add(real);
    for (const entry of await readdir(path, { withFileTypes: true })) {
      if (entry.name.startsWith('.')) continue;
      const name = relative === '' ? entry.name : `${relative}/${entry.name}`;
      if (await isFolder(entry, join(folder, name))) await visit(name);
      else files.push(name);
    }
  };
  try {
    await visit('');
  } catch (error) {
    throw folderFailure(error, folder, key);
  }
  return files;
}

async function isFolder(entry: Dirent, path: string): Promise<boolean> {
  if (!entry.isSymbolicLink()) return entry.isDirectory();
  const target = await stat(path).catch(() => null); // a dangling link: named when it is read
  return target?.isDirectory() ?? false;
}

function folderFailure(error: unknown, folder: string, key: string): unknown {
  const code = (error as NodeJS.ErrnoException).code;
  const reasons: Record<string, string> = {
    ENOENT: 'is not there',
    ENOTDIR: 'is not a folder',
    EACCES: 'may not be read',
    EPERM: 'may not be read',
  };
  const reason = code === undefined ? undefined : reasons[code];
  if (reason === undefined) return error;
  const path = (error as NodeJS.ErrnoException).path ?? folder;
  return new TillerError('DATA_FOLDER_MISSING', `The data folder ${path} ${reason}`, {
    hint: `Mend ${key} in the recipe; a relative path starts at the recipe.`,
    cause: error,
  });
}
