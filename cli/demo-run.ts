import { listRuns, type RunRow } from '../db/runs.ts';
import { connectEngine, sendRequest } from '../engine/client.ts';
import { recipeHash } from '../recipes/hash.ts';
import type { Recipe } from '../recipes/schema.ts';
import type { Context } from './context.ts';
import { enqueue, startFromRecipe } from './start-run.ts';

/** The newest run of the same recipe goes on if it is unfinished; else there is a new one. */
export async function resumeOrStart(
  context: Context,
  recipe: Recipe,
): Promise<{ run: RunRow; resumed: boolean }> {
  const { db, env } = context;
  const hash = recipeHash(recipe);
  const run = listRuns(db).find(({ recipe_hash }) => recipe_hash === hash);
  // One that failed would fail again in the same way.
  if (run === undefined || run.state === 'done' || run.state === 'failed') {
    return { run: await startFromRecipe(context, recipe), resumed: false };
  }
  if (run.state === 'paused' || run.state === 'stopped') {
    const client = await connectEngine(db, env);
    try {
      await sendRequest(client, db, { run: run.id, verb: 'resume' });
    } finally {
      await client.connection.close();
    }
  } else {
    await enqueue(db, env, run.id);
  }
  return { run, resumed: true };
}
