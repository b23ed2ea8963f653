/** Whether a sample shows what it was asked for: the picture of the data set that it lies nearest to. */
import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';

export interface Picture {
  caption: string;
  /** height × width × 3, as all others */
  rgb: Uint8Array;
}

interface Manifest {
  pixels: string;
  train: ManifestItem[];
  validation: ManifestItem[];
}

interface ManifestItem {
  width: number;
  height: number;
  offset: number;
  captions: { text: string }[];
}

/** All pictures of a prepared data set. */
export async function readPictures(manifest: string): Promise<Picture[]> {
  const set = JSON.parse(await readFile(manifest, 'utf8')) as Manifest;
  const bytes = await readFile(join(dirname(manifest), set.pixels));
  return [...set.train, ...set.validation].map(({ width, height, offset, captions }) => ({
    caption: captions[0]!.text,
    rgb: bytes.subarray(offset, offset + width * height * 3),
  }));
}

/** How many samples are nearest, by mean squared error of RGB, to the picture of their own caption. */
export const countHits = (samples: readonly Picture[], pictures: readonly Picture[]): number =>
  samples.filter(({ caption, rgb }) => nearest(rgb, pictures).caption === caption).length;

export function nearest(rgb: Uint8Array, pictures: readonly Picture[]): Picture {
  const distance = (other: Picture) =>
    rgb.reduce((sum, value, at) => sum + (value - other.rgb[at]!) ** 2, 0);
  return pictures.reduce((best, other) => (distance(other) < distance(best) ? other : best));
}
