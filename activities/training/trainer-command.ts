/** What to start for a recipe's trainer: a program of someone's own, or ours, compiled when needed. */
import { existsSync } from 'node:fs';
import { buildNative } from '../../native/build.ts';
import { NativeError } from '../../native/errors.ts';
import { TillerError } from '../../recipes/errors.ts';
import type { Recipe } from '../../recipes/schema.ts';
import type { Deps } from '../deps.ts';

/** Found once a worker: asking the compiler for its version at every launch costs a restart its speed. */
const built = new Map<string, Promise<string>>();

export async function trainerCommand(
  { env, log }: Pick<Deps, 'env' | 'log'>,
  recipe: Recipe,
): Promise<readonly string[]> {
  const { trainer } = recipe;
  if (typeof trainer !== 'string') return trainer.command;
  const known = await built.get(trainer);
  if (known !== undefined && existsSync(known)) return [known];
  const path = buildNative(trainer, { env, log: (line) => log.info(line) }).then(
    (made) => made.path,
  );
  built.set(trainer, path);
  try {
    return [await path];
  } catch (error) {
    built.delete(trainer);
    if (!(error instanceof NativeError)) throw error;
    throw new TillerError(error.code, error.message, {
      ...(error.hint === undefined ? {} : { hint: error.hint }),
      cause: error,
    });
  }
}
