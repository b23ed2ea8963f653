/**
 * A folder of pictures and captions becomes a prepared data set: every picture once, at one size,
 * under a name that is the hash of its content. What can't be used is left out, counted and named.
 */
import { join } from 'node:path';
import { TillerError } from '../../recipes/errors.ts';
import { onDisk, removeFolder } from './disk.ts';
import { findFiles, type FoundFiles } from './find-files.ts';
import { fitPicture, parseColour } from './fit-picture.ts';
import { holdOut } from './hold-out.ts';
import { readLicence } from './licence.ts';
import { makeManifest, PIXELS } from './manifest.ts';
import { PixelFile } from './pixel-file.ts';
import { publish, temporaryFolder } from './publish.ts';
import { readCaption } from './read-caption.ts';
import { type Picture, readPicture } from './read-picture.ts';
import type { DataItem, DataProblem, ProblemKind } from './types.ts';

export interface PrepareOptions {
  folder: string;
  resolution: number;
  /** #rrggbb */
  background: string;
  validationShare: number;
  seed: number;
  datasetsFolder: string;
  signal?: AbortSignal;
  onProgress?: (done: number, total: number) => void;
}

export interface PreparedDataset {
  hash: string;
  /** Absolute path of manifest.json. */
  manifest: string;
  width: number;
  height: number;
  trainItems: number;
  validationItems: number;
  /** What was left out, each file by name, and how many of each kind. */
  problems: DataProblem[];
  problemCounts: Partial<Record<ProblemKind, number>>;
  licence: string | null;
  items: DataItem[];
  /** An intact set of the same hash was there already. */
  reused: boolean;
}

export async function prepareDataset(options: PrepareOptions): Promise<PreparedDataset> {
  const { folder, resolution, datasetsFolder, signal } = options;
  const found = await findFiles(folder, signal);
  const licence = await readLicence(folder, found.licences);
  return onDisk(datasetsFolder, async () => {
    const temporary = await temporaryFolder(datasetsFolder);
    try {
      const { items, problems, pixelsHash } = await readAll(found, temporary, options);
      if (items.length === 0) throw emptyFolder(folder, problems);
      divide(items, options);
      const manifest = makeManifest(items, resolution, pixelsHash);
      const { path, reused } = await publish(temporary, datasetsFolder, manifest);
      return {
        hash: manifest.hash,
        manifest: path,
        width: resolution,
        height: resolution,
        trainItems: manifest.train.length,
        validationItems: manifest.validation.length,
        problemCounts: tally(problems),
        problems,
        licence,
        items,
        reused,
      };
    } finally {
      await removeFolder(temporary); // gone already where it was published
    }
  });
}

/** One picture in memory at a time: a data set may be larger than it. */
async function readAll(
  { pictures, strayCaptions }: FoundFiles,
  temporary: string,
  { folder, resolution, background, signal, onProgress }: PrepareOptions,
) {
  const colour = parseColour(background);
  const items: DataItem[] = [];
  const problems: DataProblem[] = [];
  const seen = new Map<string, DataItem>();
  await using pixels = await PixelFile.create(join(temporary, PIXELS));
  for (const [index, { file, caption }] of pictures.entries()) {
    signal?.throwIfAborted();
    onProgress?.(index, pictures.length);
    const read = await readItem(folder, file, caption);
    if ('kind' in read) {
      problems.push({ file, ...read });
      continue;
    }
    const { picture, text } = read;
    const twin = seen.get(picture.key);
    if (twin !== undefined) {
      problems.push({ kind: 'duplicate', file, detail: sameAs(twin, text) });
      continue;
    }
    const captions = [{ text, weight: 1 }];
    const item: DataItem = {
      position: items.length,
      key: picture.key,
      file,
      split: 'train',
      captions,
    };
    await pixels.append(fitPicture(picture, resolution, colour));
    seen.set(picture.key, item);
    items.push(item);
  }
  onProgress?.(pictures.length, pictures.length);
  for (const file of strayCaptions) {
    problems.push({ kind: 'caption-without-picture', file, detail: 'no picture has its name' });
  }
  return { items, problems, pixelsHash: await pixels.finish() };
}

async function readItem(
  folder: string,
  file: string,
  caption: string | null,
): Promise<{ picture: Picture; text: string } | Omit<DataProblem, 'file'>> {
  // The picture first: a broken one is worth knowing about whether it has a caption or not.
  const picture = await readPicture(join(folder, file));
  if ('kind' in picture) return picture;
  if (caption === null) {
    return { kind: 'no-caption', detail: 'there is no .txt or .caption of its name' };
  }
  const words = await readCaption(join(folder, caption));
  return 'kind' in words ? words : { picture, text: words.text };
}

function sameAs(twin: DataItem, text: string): string {
  const other = twin.captions[0]?.text;
  const captions = other === text ? '' : `, but is captioned “${text}” instead of “${other}”`;
  return `it shows the same pixels as ${twin.file}${captions}`;
}

function divide(items: DataItem[], { validationShare, seed }: PrepareOptions): void {
  const held = holdOut(
    items.map(({ key }) => key),
    validationShare,
    seed,
  );
  for (const item of items) if (held.has(item.key)) item.split = 'validation';
}

function tally(problems: readonly DataProblem[]): Partial<Record<ProblemKind, number>> {
  const counts: Partial<Record<ProblemKind, number>> = {};
  for (const { kind } of problems) counts[kind] = (counts[kind] ?? 0) + 1;
  return counts;
}

function emptyFolder(folder: string, problems: readonly DataProblem[]): TillerError {
  const counts = Object.entries(tally(problems)).map(([kind, count]) => `${count} ${kind}`);
  const why = counts.length === 0 ? 'no picture is in it' : counts.join(', ');
  const [first] = problems;
  const example = first === undefined ? '' : `, such as ${first.file}: ${first.detail}`;
  return new TillerError('DATA_EMPTY', `No usable picture is in ${folder} (${why}${example})`, {
    hint: 'Put PNG, JPEG or WebP files there, each with a .txt of the same name.',
  });
}
