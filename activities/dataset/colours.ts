import type { Picture } from './read-picture.ts';
import type { Rows } from './resample.ts';

export interface Rgb {
  r: number;
  g: number;
  b: number;
}

export function parseColour(text: string): Rgb {
  const value = Number.parseInt(text.slice(1), 16);
  return { r: value >> 16, g: (value >> 8) & 255, b: value & 255 };
}

/** The picture laid on its background: what is transparent has no colour to be averaged with. */
export const rgbRows = (
  { width, height, rgba }: Pick<Picture, 'width' | 'height' | 'rgba'>,
  { r, g, b }: Rgb,
): Rows => ({
  width,
  height,
  channels: 3,
  read(y, line) {
    for (let i = 0, at = y * width * 4; i < line.length; i += 3, at += 4) {
      const alpha = rgba[at + 3]! / 255;
      line[i] = rgba[at]! * alpha + r * (1 - alpha);
      line[i + 1] = rgba[at + 1]! * alpha + g * (1 - alpha);
      line[i + 2] = rgba[at + 2]! * alpha + b * (1 - alpha);
    }
  },
});

/** One byte a pixel. */
export const greyRows = (width: number, height: number, grey: Uint8Array): Rows => ({
  width,
  height,
  channels: 1,
  read: (y, line) => line.set(grey.subarray(y * width, (y + 1) * width)),
});
