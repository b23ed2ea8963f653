/** The size at which a picture just covers its bucket, and the picture at that size. */
import { resample, type Rows, toByte } from './resample.ts';
import type { Bucket } from './types.ts';

export function coveringSize(
  width: number,
  height: number,
  [bucketWidth, bucketHeight]: Bucket,
): { width: number; height: number } {
  // In whole numbers: a side that is to be exact must not depend on a rounded quotient.
  if (width * bucketHeight >= height * bucketWidth) {
    const scaled = Math.round((width * bucketHeight) / height);
    return { width: Math.max(bucketWidth, scaled), height: bucketHeight };
  }
  const scaled = Math.round((height * bucketWidth) / width);
  return { width: bucketWidth, height: Math.max(bucketHeight, scaled) };
}

export function resized(rows: Rows, width: number, height: number): Uint8Array {
  const values = resample(rows, width, height, 'cubic');
  const bytes = new Uint8Array(values.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = toByte(values[i]!);
  return bytes;
}
