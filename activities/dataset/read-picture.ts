import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import sharp from 'sharp';
import type { Refusal } from './types.ts';

/** 100 megapixels: 400 MB once decoded. Larger ones are refused before a pixel is decoded. */
export const MAX_PIXELS = 100_000_000;

const FORMATS = new Set(['png', 'jpeg', 'webp', 'gif', 'tiff', 'heif']);

export interface Picture {
  width: number;
  height: number;
  /** 8-bit sRGB and alpha, rows top to bottom. */
  rgba: Uint8Array;
  /** Content hash, 16 hex digits: the same for the same pixels in another file format. */
  key: string;
  /** How its file has it, before it was turned: a mask may be drawn on that. */
  stored: { width: number; height: number; orientation: number };
}

export type PictureResult = Picture | Refusal;

/** Decodes a picture, turned as its EXIF says; or says why it can't be used. */
export async function readPicture(path: string): Promise<PictureResult> {
  try {
    const file = await readFile(path);
    if (file.length === 0) return { kind: 'empty-file', detail: 'it has 0 bytes' };
    // The header alone: how large is it, and is it what its name says?
    const header = await sharp(file, { limitInputPixels: false }).metadata();
    const { format, width, height, orientation = 1 } = header;
    if (format === undefined || !FORMATS.has(format)) {
      return {
        kind: 'unreadable',
        detail: `it is ${format ?? 'of no known format'}; convert it to PNG`,
      };
    }
    if (width * height > MAX_PIXELS) {
      const size = `${width.toLocaleString('en-US')} × ${height.toLocaleString('en-US')}`;
      return {
        kind: 'too-large',
        detail: `it has ${size} pixels; at most 100 megapixels are read`,
      };
    }
    return { ...(await decode(file)), stored: { width, height, orientation } };
  } catch (error) {
    return { kind: 'unreadable', detail: reasonOf(error) };
  }
}

async function decode(file: Buffer): Promise<Omit<Picture, 'stored'>> {
  const { data, info } = await sharp(file, {
    limitInputPixels: MAX_PIXELS,
    failOn: 'error',
    pages: 1,
  })
    .autoOrient()
    .toColourspace('srgb')
    .ensureAlpha()
    .raw({ depth: 'uchar' })
    .toBuffer({ resolveWithObject: true });
  if (info.channels !== 4) throw new Error(`it decodes to ${info.channels} channels`);
  const { width, height } = info;
  const hash = createHash('sha256').update(`${width}x${height}:`).update(data).digest('hex');
  return { width, height, rgba: data, key: hash.slice(0, 16) };
}

/**
 * libvips tells a story of several lines; its first one is the cause. What isn't the file's own
 * fault (a failing disk, too many open files) is thrown: the set must not depend on it.
 */
export function reasonOf(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === 'ENOENT' || code === 'ELOOP') return 'the link leads nowhere';
  if (code === 'EACCES' || code === 'EPERM') return 'it may not be read';
  if (code !== undefined) throw error;
  return (message.split('\n')[0] ?? message).replace(/^Input buffer/, 'it');
}
