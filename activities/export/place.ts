/** Where an export goes: names, and folders that can be written. */
import { existsSync } from 'node:fs';
import { access, constants, mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { TillerError } from '../../recipes/errors.ts';

export const exportFormats = ['single-file', 'diffusers', 'lora', 'peft', 'merged'] as const;
export type ExportFormat = (typeof exportFormats)[number];

/** `emoji-000004`, as kohya's trainer names its epochs. */
export const exportName = (run: string, epoch: number): string =>
  `${run}-${String(epoch).padStart(6, '0')}`;

/** diffusers takes a LoRA from a folder by this name. */
const PEFT_FILE = 'pytorch_lora_weights.safetensors';

export function exportPath(folder: string, name: string, format: ExportFormat): string {
  if (format === 'diffusers') return join(folder, name);
  if (format === 'peft') return join(folder, name, PEFT_FILE);
  return join(folder, `${name}.safetensors`);
}

/** Errors: EXPORT_FOLDER, EXPORT_EXISTS. */
export async function preparePlace(path: string, force: boolean): Promise<void> {
  const folder = dirname(path);
  try {
    await mkdir(folder, { recursive: true });
    await access(folder, constants.W_OK);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new TillerError('EXPORT_FOLDER', `The folder ${folder} cannot be written (${code})`, {
      hint: 'Name another folder with --to.',
      cause: error,
    });
  }
  if (!force && existsSync(path)) {
    throw new TillerError('EXPORT_EXISTS', `${path} is there already`, {
      hint: 'Name another place, or add --force.',
    });
  }
}
