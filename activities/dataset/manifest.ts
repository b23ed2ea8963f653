import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { isAbsent } from './disk.ts';
import type { DataItem, Manifest, ManifestItem } from './types.ts';

export const MANIFEST = 'manifest.json';
export const PIXELS = 'pixels.u8';
export const MASKS = 'masks.u8';

/** The set's name is the hash of all that training sees of it: pixels, masks, captions, split. */
export function makeManifest(
  items: readonly DataItem[],
  pixelsHash: string,
  /** undefined: no picture has one */
  masksHash: string | undefined,
): Manifest {
  const split = (name: DataItem['split']): ManifestItem[] =>
    items.filter((item) => item.split === name).map(asWritten);
  const content: Omit<Manifest, 'hash'> = {
    version: 2,
    channels: 3,
    pixels: PIXELS,
    pixels_sha256: pixelsHash,
    ...(masksHash === undefined ? {} : { masks: MASKS, masks_sha256: masksHash }),
    train: split('train'),
    validation: split('validation'),
  };
  return { ...content, hash: hashOf(content) };
}

const asWritten = (item: DataItem): ManifestItem => {
  const { key, file, width, height, bucket, offset, maskOffset, repeats } = item;
  return {
    key,
    file,
    width,
    height,
    bucket,
    offset,
    ...(maskOffset === undefined ? {} : { mask_offset: maskOffset }),
    repeats,
    regularisation: item.regularisation,
    captions: item.captions,
  };
};

const hashOf = (content: Omit<Manifest, 'hash'>): string =>
  createHash('sha256').update(JSON.stringify(content)).digest('hex');

/** Whether a prepared set is there and byte for byte what its name says. */
export async function isIntact(folder: string, hash: string): Promise<boolean> {
  try {
    const written = JSON.parse(await readFile(join(folder, MANIFEST), 'utf8')) as Manifest;
    const { hash: named, ...content } = written;
    if (named !== hash || hashOf(content) !== hash) return false;
    if ((await fileHash(join(folder, PIXELS))) !== written.pixels_sha256) return false;
    return (
      written.masks === undefined || (await fileHash(join(folder, MASKS))) === written.masks_sha256
    );
  } catch (error) {
    // Absent or not JSON: made anew. Anything else (a failing disk) is for the caller.
    if (error instanceof SyntaxError || isAbsent(error)) return false;
    throw error;
  }
}

async function fileHash(path: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  return hash.digest('hex');
}
