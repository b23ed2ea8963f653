/** A picture, and its mask with it, at the size that is stored. */
import { bucketsOf, chooseBucket } from './choose-bucket.ts';
import { greyRows, parseColour, rgbRows } from './colours.ts';
import { coveringSize, resized } from './cover-bucket.ts';
import { fitMask, fitPicture } from './fit-picture.ts';
import type { Picture } from './read-picture.ts';
import type { DataSettings } from '../../recipes/schema.ts';
import type { Bucket, Refusal } from './types.ts';

export interface PlacedPicture {
  width: number;
  height: number;
  bucket: Bucket;
  pixels: Uint8Array;
  mask: Uint8Array | undefined;
}

type Place = (picture: Picture, mask: Uint8Array | undefined) => PlacedPicture | Refusal;

export const placerOf = (data: DataSettings): Place =>
  data.fit === 'square' ? inSquare(data) : inBuckets(data);

function inSquare({ resolution: side, background }: DataSettings): Place {
  const colour = parseColour(background);
  return (picture, mask) => ({
    width: side,
    height: side,
    bucket: [side, side],
    pixels: fitPicture(picture, side, colour),
    mask: mask && fitMask(greyRows(picture.width, picture.height, mask), side),
  });
}

function inBuckets(data: DataSettings): Place {
  const colour = parseColour(data.background);
  const buckets = bucketsOf(data);
  return (picture, mask) => {
    const bucket = chooseBucket(picture.width, picture.height, data, buckets);
    if ('kind' in bucket) return bucket;
    const { width, height } = coveringSize(picture.width, picture.height, bucket);
    const grey = mask && greyRows(picture.width, picture.height, mask);
    return {
      width,
      height,
      bucket,
      pixels: resized(rgbRows(picture, colour), width, height),
      mask: grey && resized(grey, width, height),
    };
  };
}
