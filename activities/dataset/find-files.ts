import { extname, relative } from 'node:path';
import { walkFolder } from './walk-folder.ts';

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
/** Beside a picture X, this is its mask and no picture. */
const MASK_ENDING = '-masklabel';
const LEGAL = /^(licen[cs]e|notice|copying|readme)(\.(txt|md))?$/i;
const SHOWN = /^(licen[cs]e|notice|copying)(\.(txt|md))?$/i;

export interface FoundPicture {
  file: string;
  caption: string | null;
  /** `X-masklabel.png` of a picture X. */
  mask: string | null;
}

export interface FoundFiles {
  /** Relative paths, sorted by code unit so that the order is the same everywhere. */
  pictures: FoundPicture[];
  /** Captions that no picture has the name of. */
  strayCaptions: string[];
  /** Licence and notice at the top of the folder. */
  licences: string[];
}

export interface FindOptions {
  captionEndings: readonly string[];
  /** Folders with files of another kind, which may lie in this one. */
  others: readonly string[];
  /** Of the recipe, for messages. */
  key: string;
  signal: AbortSignal | undefined;
}

/**
 * Everything below the folder, symbolic links followed; names that begin with a dot are skipped.
 * @param captionEndings where a picture has several, the first counts
 */
export async function findFiles(
  folder: string,
  { captionEndings, others, key, signal }: FindOptions,
): Promise<FoundFiles> {
  const inside = others.map((other) => `${relative(folder, other)}/`);
  const files = (await walkFolder(folder, signal, key))
    .filter((file) => !inside.some((prefix) => file.startsWith(prefix)))
    .sort();
  const captions = captionsByStem(files, captionEndings);
  const shown = files.filter(isPicture);
  const stems = new Set(shown.map(stemOf));
  const masks = new Map<string, string>();
  for (const file of shown) {
    const stem = stemOf(file);
    const of = stem.endsWith(MASK_ENDING) ? stem.slice(0, -MASK_ENDING.length) : undefined;
    if (of !== undefined && stems.has(of)) masks.set(of, file);
  }
  const isMask = new Set(masks.values());
  const pictures = shown
    .filter((file) => !isMask.has(file))
    .map((file) => ({
      file,
      caption: captions.get(stemOf(file)) ?? null,
      mask: masks.get(stemOf(file)) ?? null,
    }));
  for (const { file } of pictures) captions.delete(stemOf(file));
  return {
    pictures,
    strayCaptions: [...captions.values()].filter((file) => !LEGAL.test(file)).sort(),
    licences: files.filter((file) => SHOWN.test(file)),
  };
}

function captionsByStem(files: readonly string[], endings: readonly string[]): Map<string, string> {
  const captions = new Map<string, string>();
  for (const ending of endings.toReversed()) {
    for (const file of files) {
      if (file.toLowerCase().endsWith(ending.toLowerCase())) {
        captions.set(file.slice(0, file.length - ending.length), file);
      }
    }
  }
  return captions;
}

/** Masks of a folder of their own, by the stem that they share with their picture. */
export async function findMasks(
  folder: string,
  signal: AbortSignal | undefined,
): Promise<Map<string, string>> {
  const masks = new Map<string, string>();
  for (const file of (await walkFolder(folder, signal, 'data.mask_folder')).sort()) {
    if (!isPicture(file)) continue;
    const stem = stemOf(file);
    masks.set(stem.endsWith(MASK_ENDING) ? stem.slice(0, -MASK_ENDING.length) : stem, file);
  }
  return masks;
}

export const isPicture = (file: string): boolean => PICTURES.has(extname(file).toLowerCase());

export const stemOf = (file: string): string => file.slice(0, file.length - extname(file).length);
