/** Keeps the newest rolling checkpoints of a run and deletes the others; those of epochs stay. */
import { rm } from 'node:fs/promises';
import { keptCheckpoints, markCheckpoint } from '../../db/checkpoints.ts';
import type { Deps } from '../deps.ts';
import type { Following } from './follow.ts';

export async function pruneRolling({ db }: Deps, { run, recipe, lease }: Following): Promise<void> {
  const kept = keptCheckpoints(db, run.id);
  const needed = new Set(kept.filter(({ kind }) => kind !== 'rolling').map(({ path }) => path));
  const rolling = kept.filter(({ kind }) => kind === 'rolling').sort((a, b) => b.step - a.step);
  for (const { path } of rolling.slice(0, recipe.checkpoints.keep_rolling)) needed.add(path);
  for (const { id, path } of rolling.slice(recipe.checkpoints.keep_rolling)) {
    // The record first: a checkpoint that it calls kept is always there.
    markCheckpoint(db, lease, id, 'deleted');
    if (!needed.has(path)) await rm(path, { recursive: true, force: true });
  }
}
