/** Where a run keeps the pictures that its prompts begin from. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** 8-bit numbers, 3 a pixel or 1 of a mask. */
export interface PixelFile {
  file: string;
  width: number;
  height: number;
}

export interface PromptPictures {
  picture: PixelFile;
  mask?: PixelFile;
}

export const inputsFolder = (runFolder: string): string => join(runFolder, 'inputs');

export const pictureFile = (folder: string, position: number): string =>
  join(folder, `${position}.json`);

/** Of a prompt by its position; null where it begins from noise. */
export function readPictures(folder: string, position: number): PromptPictures | null {
  try {
    return JSON.parse(readFileSync(pictureFile(folder, position), 'utf8')) as PromptPictures;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}
