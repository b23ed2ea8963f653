/**
 * Pictures and masks that prompts begin from, as numbers in the run's own folder: what is sampled at
 * epoch 13 begins from the very same pixels as at epoch 10.
 */
import { mkdir, rename, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { extraOf, promptsOf } from '../../db/prompts.ts';
import { getRun } from '../../db/runs.ts';
import { TillerError } from '../../recipes/errors.ts';
import type { Deps } from '../deps.ts';
import { onDisk, statIfThere } from '../dataset/disk.ts';
import { readPicture } from '../dataset/read-picture.ts';
import { runFolder } from '../training/job.ts';
import { inputsFolder, pictureFile, type PixelFile } from './prompt-pictures.ts';

export async function preparePictures({ db, home }: Deps, runId: string): Promise<void> {
  const { name } = getRun(db, runId);
  const folder = inputsFolder(runFolder(home, runId));
  for (const row of promptsOf(db, runId)) {
    const { picture, mask } = extraOf(row);
    const target = pictureFile(folder, row.position);
    if (picture === undefined || (await statIfThere(target)) !== undefined) continue;
    await mkdir(folder, { recursive: true });
    const made = {
      picture: await keep(picture, 3, join(folder, `${row.position}.rgb`)),
      ...(mask === undefined
        ? {}
        : { mask: await keep(mask, 1, join(folder, `${row.position}.mask`)) }),
    };
    if (made.mask !== undefined) mustFit(made.picture, made.mask, `${name}: ${mask}`);
    await onDisk(folder, () => writeFile(`${target}.tmp`, JSON.stringify(made)));
    await rename(`${target}.tmp`, target);
  }
}

/** @param channels 3: on white; 1: the brightness */
async function keep(path: string, channels: 1 | 3, target: string): Promise<PixelFile> {
  const picture = await readPicture(path);
  if ('kind' in picture) {
    throw new TillerError('PROMPT_PICTURE', `${path} cannot be used: ${picture.detail}`, {
      hint: 'Mend samples.prompts in the recipe; a relative path starts at the recipe.',
    });
  }
  const { width, height, rgba } = picture;
  const bytes = Buffer.alloc(width * height * channels);
  for (let pixel = 0; pixel < width * height; pixel++) {
    const alpha = rgba[pixel * 4 + 3]! / 255;
    const on = (channel: number) => rgba[pixel * 4 + channel]! * alpha + 255 * (1 - alpha);
    if (channels === 3) for (let c = 0; c < 3; c++) bytes[pixel * 3 + c] = Math.round(on(c));
    else bytes[pixel] = Math.round((on(0) + on(1) + on(2)) / 3);
  }
  await onDisk(dirname(target), () => writeFile(target, bytes));
  return { file: target, width, height };
}

function mustFit(picture: PixelFile, mask: PixelFile, what: string): void {
  if (picture.width === mask.width && picture.height === mask.height) return;
  throw new TillerError(
    'MASK_SIZE',
    `${what} has ${mask.width}×${mask.height} pixels, its picture ${picture.width}×${picture.height}`,
    { hint: 'Make the mask as large as the picture.' },
  );
}
