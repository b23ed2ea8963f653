import type { Dirent } from 'node:fs';
import { readdir, realpath, stat } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { TillerError } from '../../recipes/errors.ts';

const PICTURES = new Set([
  '.png',
  '.jpg',
  '.jpeg',
  '.webp',
  '.gif',
  '.tif',
  '.tiff',
  '.avif',
  '.bmp',
]);
/** Where a picture has both, the later one counts. */
const CAPTIONS = ['.caption', '.txt'];
const LEGAL = /^(licen[cs]e|notice|copying|readme)(\.(txt|md))?$/i;
const SHOWN = /^(licen[cs]e|notice|copying)(\.(txt|md))?$/i;

export interface FoundFiles {
  /** Relative paths, sorted by code unit so that the order is the same everywhere. */
  pictures: { file: string; caption: string | null }[];
  /** Captions that no picture has the name of. */
  strayCaptions: string[];
  /** Licence and notice at the top of the folder. */
  licences: string[];
}

/** Everything below the folder, symbolic links followed; names that begin with a dot are skipped. */
export async function findFiles(folder: string, signal?: AbortSignal): Promise<FoundFiles> {
  const files = (await walk(folder, signal)).sort();
  const captions = new Map<string, string>(); // by stem
  for (const ending of CAPTIONS) {
    for (const file of files) {
      if (extname(file).toLowerCase() === ending) captions.set(stemOf(file), file);
    }
  }
  const pictures = files
    .filter((file) => PICTURES.has(extname(file).toLowerCase()))
    .map((file) => ({ file, caption: captions.get(stemOf(file)) ?? null }));
  for (const { file } of pictures) captions.delete(stemOf(file));
  return {
    pictures,
    strayCaptions: [...captions.values()].filter((file) => !LEGAL.test(file)).sort(),
    licences: files.filter((file) => SHOWN.test(file)),
  };
}

const stemOf = (file: string): string => file.slice(0, file.length - extname(file).length);

async function walk(folder: string, signal?: AbortSignal): Promise<string[]> {
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
    throw folderFailure(error, folder);
  }
  return files;
}

async function isFolder(entry: Dirent, path: string): Promise<boolean> {
  if (!entry.isSymbolicLink()) return entry.isDirectory();
  const target = await stat(path).catch(() => null); // a dangling link: named when it is read
  return target?.isDirectory() ?? false;
}

function folderFailure(error: unknown, folder: string): unknown {
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
    hint: 'Mend data.folder in the recipe; a relative path starts at the recipe.',
    cause: error,
  });
}
