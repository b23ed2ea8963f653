/** Which part of a picture is trained: one byte a pixel of the turned picture, 255 is. */
import { readFile } from 'node:fs/promises';
import sharp from 'sharp';
import { turn } from './orientation.ts';
import { MAX_PIXELS, type Picture, reasonOf } from './read-picture.ts';
import type { Refusal } from './types.ts';

/** A picture that is opaque all over has no mask. */
export function alphaMask({ width, height, rgba }: Picture): Uint8Array | undefined {
  const mask = new Uint8Array(width * height);
  let least = 255;
  for (let i = 0; i < mask.length; i++) {
    const alpha = rgba[i * 4 + 3]!;
    mask[i] = alpha;
    least = Math.min(least, alpha);
  }
  return least === 255 ? undefined : mask;
}

/**
 * A mask that has an orientation of its own is turned by it. Else it is drawn either on the picture
 * as its file stores it, and turned like the picture, or on the picture as it is shown.
 */
export async function readMask(path: string, picture: Picture): Promise<Uint8Array | Refusal> {
  let mask: { width: number; height: number; grey: Uint8Array; turned: boolean };
  try {
    mask = await decode(path);
  } catch (error) {
    return { kind: 'mask-unreadable', detail: `its mask cannot be read: ${reasonOf(error)}` };
  }
  const { width, height, stored } = picture;
  const { grey } = mask;
  if (!mask.turned && mask.width === stored.width && mask.height === stored.height) {
    return turn(grey, mask.width, mask.height, stored.orientation);
  }
  if (mask.width === width && mask.height === height) return grey;
  return {
    kind: 'mask-size',
    detail: `it has ${width} × ${height} pixels, and its mask ${mask.width} × ${mask.height}`,
  };
}

async function decode(path: string) {
  const file = await readFile(path);
  const options = { limitInputPixels: MAX_PIXELS, failOn: 'error', pages: 1 } as const;
  const { orientation = 1 } = await sharp(file, options).metadata();
  const { data, info } = await sharp(file, options)
    .autoOrient()
    .flatten({ background: '#000000' }) // what is transparent is not trained
    .toColourspace('b-w')
    .raw({ depth: 'uchar' })
    .toBuffer({ resolveWithObject: true });
  const { width, height, channels } = info;
  if (channels !== 1) throw new Error(`it decodes to ${channels} channels`);
  return { width, height, grey: new Uint8Array(data), turned: orientation !== 1 };
}
