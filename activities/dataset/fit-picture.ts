/** A picture on its background, fitted into a square and centred. */
import { type Rgb, rgbRows } from './colours.ts';
import { resample, type Rows, toByte } from './resample.ts';
import type { Picture } from './read-picture.ts';

/** Pixels of `side` × `side` × 3 bytes. */
export function fitPicture(
  picture: Pick<Picture, 'width' | 'height' | 'rgba'>,
  side: number,
  background: Rgb,
): Uint8Array {
  const out = new Uint8Array(side * side * 3);
  for (let i = 0; i < out.length; i += 3) out.set([background.r, background.g, background.b], i);
  return centred(rgbRows(picture, background), out, side);
}

/** A mask in the same place; what is beside the picture isn't trained. */
export const fitMask = (rows: Rows, side: number): Uint8Array =>
  centred(rows, new Uint8Array(side * side), side);

function centred(rows: Rows, out: Uint8Array, side: number): Uint8Array {
  const { width, height, channels } = rows;
  const scale = side / Math.max(width, height);
  const columns = Math.max(1, Math.round(width * scale));
  const lines = Math.max(1, Math.round(height * scale));
  const values = resample(rows, columns, lines, 'linear');
  const left = Math.floor((side - columns) / 2);
  const top = Math.floor((side - lines) / 2);
  const length = columns * channels;
  for (let y = 0; y < lines; y++) {
    const start = ((top + y) * side + left) * channels;
    for (let i = 0; i < length; i++) out[start + i] = toByte(values[y * length + i]!);
  }
  return out;
}
