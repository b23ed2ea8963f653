/** From a parsed recipe to a run that the engine knows. */
import { stat } from 'node:fs/promises';
import { appendEvent } from '../db/events.ts';
import { createRun, type RunRow } from '../db/runs.ts';
import { connectEngine, startRun } from '../engine/client.ts';
import { TillerError } from '../recipes/errors.ts';
import { recipeHash } from '../recipes/hash.ts';
import type { Recipe } from '../recipes/schema.ts';
import type { Context } from './context.ts';
import { bestDevice } from './devices.ts';
import { runFields } from './run-fields.ts';

/**
 * @param notes how the recipe was read, kept with the run
 * @param say hears which device `auto` came to
 */
export async function startFromRecipe(
  context: Context,
  written: Recipe,
  { notes = [], say = () => {} }: { notes?: readonly string[]; say?: (line: string) => void } = {},
): Promise<RunRow> {
  const { db, env } = context;
  const { device, chosen } = await deviceFor(written, env, say);
  const recipe = { ...written, device };
  const run = createRun(db, runFields({ recipe, hash: recipeHash(recipe) }));
  if (notes.length > 0) {
    appendEvent(db, { run: run.id, kind: 'recipe', message: notes.join('; '), data: { notes } });
  }
  if (chosen !== undefined) {
    appendEvent(db, { run: run.id, kind: 'device', message: chosen });
    say(chosen);
  }
  await enqueue(db, env, run.id);
  return run;
}

/** Hands a run to the engine; one that it has already is left alone. */
export async function enqueue(
  db: Context['db'],
  env: NodeJS.ProcessEnv,
  run: string,
): Promise<void> {
  const client = await connectEngine(db, env);
  try {
    await startRun(client, run);
  } finally {
    await client.connection.close();
  }
}

/** What `auto` comes to, and a sentence of it. */
async function deviceFor(
  { device, trainer }: Recipe,
  env: NodeJS.ProcessEnv,
  say: (line: string) => void,
): Promise<{ device: Recipe['device']; chosen?: string }> {
  if (device !== 'auto') return { device };
  // What a trainer of someone's own can use is not ours to know.
  if (typeof trainer !== 'string') return { device: 'cpu' };
  const { kind, words } = await bestDevice(env, say);
  return { device: kind, chosen: `device: auto is ${words}` };
}

/** Said at once, and not minutes later by a run that failed. Errors: DATA_FOLDER_MISSING. */
export async function mustHaveData({ data }: Recipe): Promise<void> {
  if (data === undefined) return;
  const found = await stat(data.folder).catch((error: NodeJS.ErrnoException) => error);
  if (!(found instanceof Error) && found.isDirectory()) return;
  const reason = found instanceof Error ? `is not there (${found.code})` : 'is not a folder';
  throw new TillerError('DATA_FOLDER_MISSING', `The data folder ${data.folder} ${reason}`, {
    hint: 'Mend data.folder in the recipe; a relative path starts at the recipe.',
  });
}
