/**
 * The picture of a sample in the making. Its name came from a trainer, so nothing about it is believed:
 * it is a plain file of the run's own samples folder, reached by no link, small, and a whole PNG.
 */
import { constants } from 'node:fs';
import { open, realpath } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { PREVIEW_NAME, samplesFolder } from '../db/doing.ts';

const MOST_BYTES = 16 * 1024 * 1024;
const MOST_PIXELS = 4096 * 4096;
const SIZE = 256;
const SIGNATURE = Buffer.from('\x89PNG\r\n\x1a\n', 'latin1');

/** Codes of a file that is not there, is a link, or lies behind something that is no folder. */
const ABSENT = new Set(['ENOENT', 'ELOOP', 'EMLINK', 'ENOTDIR', 'ENXIO']);

/** @returns undefined for what may not be shown, or is not there */
async function readPicture(runs: string, run: string, name: string): Promise<Buffer | undefined> {
  if (!PREVIEW_NAME.test(name)) return undefined;
  try {
    const folder = samplesFolder(join(await realpath(runs), run));
    if ((await realpath(folder)) !== folder) return undefined;
    // Whoever waits at a pipe waits for ever: NONBLOCK.
    const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
    const file = await open(join(folder, name), flags);
    try {
      const stat = await file.stat();
      const { size } = stat;
      if (!stat.isFile() || stat.nlink > 1) return undefined;
      if (size < SIGNATURE.length || size > MOST_BYTES) return undefined;
      const bytes = Buffer.alloc(size);
      const { bytesRead } = await file.read(bytes, 0, size, 0);
      const whole = bytesRead === size && bytes.subarray(0, SIGNATURE.length).equals(SIGNATURE);
      return whole ? bytes : undefined;
    } finally {
      await file.close();
    }
  } catch (error) {
    if (ABSENT.has((error as NodeJS.ErrnoException).code ?? '')) return undefined;
    throw error;
  }
}

/** As a small WebP: a picture that is half written does not decode, and is none. */
export async function previewPicture(
  runs: string,
  run: string,
  name: string,
): Promise<Buffer | undefined> {
  const bytes = await readPicture(runs, run, name);
  if (bytes === undefined) return undefined;
  try {
    const image = sharp(bytes, { limitInputPixels: MOST_PIXELS, failOn: 'error' });
    const { width, height } = await image.metadata();
    const small = Math.max(width, height) <= SIZE;
    return await image
      .resize(SIZE, SIZE, { fit: 'inside', withoutEnlargement: true })
      .webp(small ? { lossless: true } : { quality: 82 })
      .toBuffer();
  } catch {
    return undefined;
  }
}
