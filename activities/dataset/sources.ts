/**
 * Which files a prepared set was made from, beside its manifest and not in its hash: how a run that
 * goes on can say that its folder is another one now.
 */
import { readFile, rename, stat } from 'node:fs/promises';
import { randomUUID } from 'node:crypto';
import { dirname, join } from 'node:path';
import type { DataSettings } from '../../recipes/schema.ts';
import { writeSynced } from './disk.ts';
import { isPicture } from './find-files.ts';
import { walkFolder } from './walk-folder.ts';

export const SOURCES = 'sources.json';

/** Size and time of change by path. */
export type Sources = Record<string, [bytes: number, changedMs: number]>;

export interface Changes {
  /** such as "1 picture edited", "2 captions added" */
  counts: string[];
  /** one of the files */
  example: string;
}

type Folders = Pick<
  DataSettings,
  'folder' | 'mask_folder' | 'regularisation_folder' | 'caption_extension'
>;

const foldersOf = ({ folder, mask_folder, regularisation_folder }: Folders): string[] =>
  [folder, mask_folder, regularisation_folder].filter((path) => path !== undefined);

/** Pictures and captions. Nothing is read but what the file system says of each. */
export async function lookAt(data: Folders, signal?: AbortSignal): Promise<Sources> {
  const sources: Sources = {};
  for (const folder of foldersOf(data)) {
    for (const file of await walkFolder(folder, signal)) {
      const path = join(folder, file);
      if (kindOf(path, data) === undefined) continue;
      const found = await stat(path).catch(() => null); // gone since, or a link to nowhere
      if (found !== null) sources[path] = [found.size, found.mtimeMs];
    }
  }
  return sources;
}

function kindOf(path: string, { caption_extension: endings }: Folders) {
  if (isPicture(path)) return 'picture';
  return endings.some((ending) => path.toLowerCase().endsWith(ending.toLowerCase()))
    ? 'caption'
    : undefined;
}

/** The same set may have been made from several folders: each keeps its own list. */
export async function recordSources(
  manifest: string,
  data: Folders,
  sources: Sources,
): Promise<void> {
  const path = join(dirname(manifest), SOURCES);
  const temporary = `${path}.${randomUUID()}`;
  const all = { ...(await readSources(path)), [nameOf(data)]: sources };
  await writeSynced(temporary, `${JSON.stringify(all)}\n`);
  await rename(temporary, path);
}

/** undefined: nothing has changed, or nothing was written down. */
export async function changesSince(
  manifest: string,
  data: Folders,
  signal?: AbortSignal,
): Promise<Changes | undefined> {
  const before = (await readSources(join(dirname(manifest), SOURCES)))[nameOf(data)];
  if (before === undefined) return undefined;
  const now = await lookAt(data, signal);
  const [had, has] = [before, now].map((sources) => new Set(Object.keys(sources)));
  const changes = {
    edited: [...has!].filter(
      (path) => had!.has(path) && String(now[path]) !== String(before[path]),
    ),
    added: [...has!].filter((path) => !had!.has(path)),
    removed: [...had!].filter((path) => !has!.has(path)),
  };
  const counts = Object.entries(changes).flatMap(([change, paths]) =>
    ['picture', 'caption'].flatMap((kind) => {
      const count = paths.filter((path) => kindOf(path, data) === kind).length;
      return count === 0 ? [] : [`${count} ${kind}${count === 1 ? '' : 's'} ${change}`];
    }),
  );
  const [example] = [...changes.edited, ...changes.added, ...changes.removed];
  return example === undefined ? undefined : { counts, example };
}

const nameOf = (data: Folders): string => foldersOf(data).join('\n');

async function readSources(path: string): Promise<Record<string, Sources>> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as Record<string, Sources>;
  } catch {
    return {}; // of a set that an older Tiller made, or damaged: there is nothing to compare with
  }
}
