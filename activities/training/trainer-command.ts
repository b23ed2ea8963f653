/** What to start for a recipe's trainer: a program of someone's own, or ours, compiled when needed. */
import { buildNative } from '../../native/build.ts';
import { NativeError } from '../../native/errors.ts';
import { TillerError } from '../../recipes/errors.ts';
import type { Recipe } from '../../recipes/schema.ts';
import type { Deps } from '../deps.ts';

export async function trainerCommand(
  { env, log }: Pick<Deps, 'env' | 'log'>,
  recipe: Recipe,
): Promise<readonly string[]> {
  if (typeof recipe.trainer !== 'string') return recipe.trainer.command;
  try {
    const { path } = await buildNative(recipe.trainer, { env, log: (line) => log.info(line) });
    return [path];
  } catch (error) {
    if (!(error instanceof NativeError)) throw error;
    throw new TillerError(error.code, error.message, {
      ...(error.hint === undefined ? {} : { hint: error.hint }),
      cause: error,
    });
  }
}
