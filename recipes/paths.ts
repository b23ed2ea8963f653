/** Paths of a recipe start at its folder, and `~` is the user's own. */
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { isAbsolute, join, resolve } from 'node:path';
import type { Recipe } from './schema.ts';

export function withAbsolutePaths(recipe: Recipe, folder: string): Recipe {
  const { trainer, data, samples } = recipe;
  return {
    ...recipe,
    ...absolute(recipe, ['base', 'vae'], folder),
    trainer:
      typeof trainer === 'string' ? trainer : { command: resolveCommand(trainer.command, folder) },
    ...(data === undefined
      ? {}
      : {
          data: {
            ...data,
            ...absolute(data, ['folder', 'mask_folder', 'regularisation_folder'], folder),
          },
        }),
    samples: {
      ...samples,
      ...absolute(samples, ['prompts_file'], folder),
      prompts: samples.prompts.map((prompt) => ({
        ...prompt,
        ...absolute(prompt, ['picture', 'mask'], folder),
      })),
    },
  };
}

/** Those of the keys that are given, as absolute paths. */
const absolute = <Key extends string>(
  section: { [key in Key]?: string | undefined },
  keys: readonly Key[],
  folder: string,
): { [key in Key]?: string } =>
  Object.fromEntries(
    keys
      .filter((key) => section[key] !== undefined)
      .map((key) => [key, resolvePath(section[key]!, folder)]),
  ) as { [key in Key]?: string };

export const resolvePath = (path: string, folder: string): string =>
  path === '~' || path.startsWith('~/') ? join(homedir(), path.slice(1)) : resolve(folder, path);

/** A program named by a path, and arguments that are files beside the recipe. */
const resolveCommand = (command: readonly string[], folder: string): string[] =>
  command.map((word, index) => {
    if (isAbsolute(word) || (index === 0 && !word.includes('/'))) return word;
    const path = resolve(folder, word);
    return index === 0 || existsSync(path) ? path : word;
  });
