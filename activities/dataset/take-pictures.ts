/** Reads pictures one at a time, as a data set may be larger than memory, and writes what is trained. */
import { join } from 'node:path';
import type { DataSettings } from '../../recipes/schema.ts';
import { captionOf, withTrigger } from './caption-of.ts';
import type { PixelFile } from './pixel-file.ts';
import { placerOf } from './place-picture.ts';
import { alphaMask, readMask } from './read-mask.ts';
import { type Picture, readPicture } from './read-picture.ts';
import type { DataItem, DataProblem, Refusal } from './types.ts';

/** A picture that may become an item. */
export interface Candidate {
  folder: string;
  file: string;
  /** What it is called in the set. */
  name: string;
  caption: string | null;
  folderCaption: string | undefined;
  /** Absolute path. */
  mask: string | undefined;
  repeats: number;
  regularisation: boolean;
}

export interface Taken {
  items: DataItem[];
  problems: DataProblem[];
  /** Reads one. @returns whether it is now an item */
  take: (candidate: Candidate) => Promise<boolean>;
}

export function takePictures(
  data: DataSettings,
  files: { pixels: PixelFile; masks: PixelFile },
): Taken {
  const items: DataItem[] = [];
  const problems: DataProblem[] = [];
  const seen = new Map<string, DataItem>();
  const place = placerOf(data);

  const read = async (candidate: Candidate): Promise<DataItem | Refusal> => {
    const { folder, file, name, regularisation, repeats } = candidate;
    // The picture first: a broken one is worth knowing about whether it has a caption or not.
    const picture = await readPicture(join(folder, file));
    if ('kind' in picture) return picture;
    const words = await captionOf(folder, candidate.caption, candidate.folderCaption, data);
    if ('kind' in words) return words;
    const text = regularisation ? words.text : withTrigger(words.text, data.trigger_word);
    const twin = seen.get(picture.key);
    if (twin !== undefined) return { kind: 'duplicate', detail: sameAs(twin, text) };
    const mask = await maskOf(candidate, picture, data);
    if (mask !== undefined && 'kind' in mask) return mask;
    const placed = place(picture, mask);
    if ('kind' in placed) return placed;
    const { width, height, bucket } = placed;
    return {
      position: items.length,
      key: picture.key,
      file: name,
      split: 'train',
      width,
      height,
      bucket,
      offset: await files.pixels.append(placed.pixels),
      ...(placed.mask === undefined ? {} : { maskOffset: await files.masks.append(placed.mask) }),
      repeats,
      regularisation,
      captions: [{ text, weight: 1 }],
    };
  };

  const take = async (candidate: Candidate): Promise<boolean> => {
    const item = await read(candidate);
    if ('kind' in item) {
      problems.push({ file: candidate.name, ...item });
      return false;
    }
    seen.set(item.key, item);
    items.push(item);
    return true;
  };

  return { items, problems, take };
}

async function maskOf(
  { mask }: Candidate,
  picture: Picture,
  { masks }: DataSettings,
): Promise<Uint8Array | Refusal | undefined> {
  if (masks === 'alpha') return alphaMask(picture);
  return mask === undefined ? undefined : readMask(mask, picture);
}

function sameAs(twin: DataItem, text: string): string {
  const other = twin.captions[0]?.text;
  const captions = other === text ? '' : `, but is captioned “${text}” instead of “${other}”`;
  return `it shows the same pixels as ${twin.file}${captions}`;
}
