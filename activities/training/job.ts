/** Builds the job of a trainer out of the record. Everything in it is a function of the run. */
import { join } from 'node:path';
import { getDataset } from '../../db/datasets.ts';
import { homePaths } from '../../db/home.ts';
import { type PromptRow, promptsOf } from '../../db/prompts.ts';
import type { RunRow } from '../../db/runs.ts';
import { promptsToSample } from '../../db/wanted.ts';
import { PROTOCOL_VERSION, type Job } from '../../native/protocol.ts';
import type { Prompt, Recipe } from '../../recipes/schema.ts';
import { TillerError } from '../../recipes/errors.ts';
import type { Deps } from '../deps.ts';
import type { CheckpointFolder } from './checkpoints-on-disk.ts';
import { launchFiles } from './trainer-process.ts';

/** A trainer that nobody has followed for so long saves and leaves. */
const ORPHAN_SECONDS = 600;

export const runFolder = (home: string, run: string): string => join(homePaths(home).runs, run);

export const checkpointsFolder = (home: string, run: string): string =>
  join(runFolder(home, run), 'checkpoints');

/** Optimizer steps of an epoch. Errors: INTERNAL before the data set is prepared. */
export function stepsPerEpoch(run: RunRow): number {
  if (run.steps_per_epoch !== null) return run.steps_per_epoch;
  throw new TillerError('INTERNAL', `Run ${run.name} has no steps per epoch yet`);
}

export function buildJob(
  { db, home, env }: Deps,
  run: RunRow,
  recipe: Recipe,
  position: { stage: Job['stage']; epoch: number; resume: CheckpointFolder | null },
  launchFolder: string,
): Job {
  const { stage, epoch, resume } = position;
  const steps = stepsPerEpoch(run);
  const dataset = run.dataset === null ? undefined : getDataset(db, run.dataset);
  const lastStep = epoch * steps;
  const begin = Math.max(0, epoch - 1) * steps;
  return {
    protocol: PROTOCOL_VERSION,
    run: run.id,
    stage,
    epoch,
    first_step: stage === 'evaluate' ? lastStep : firstStep(begin, resume, recipe),
    last_step: lastStep,
    folder: runFolder(home, run.id),
    resume: resume?.path ?? null,
    fingerprint: { recipe: run.recipe_hash, data: run.dataset ?? '', base: recipe.base ?? '' },
    seed: recipe.seed,
    device: recipe.device,
    threads: run.threads,
    recipe: {
      ...recipe,
      train: { ...recipe.train, steps_per_epoch: steps },
      samples: { ...recipe.samples, prompts: promptsOf(db, run.id).map(asRecipeHas) },
    },
    ...(stage === 'evaluate' ? { sample_prompts: promptsToSample(db, run.id, epoch) } : {}),
    data: dataset === undefined ? null : { manifest: dataset.manifest },
    orphan: {
      follow_file: launchFiles(launchFolder).followed,
      after_seconds: Number(env['TILLER_ORPHAN_SECONDS'] ?? ORPHAN_SECONDS),
    },
  };
}

/**
 * Our trainers resume only from a checkpoint, so that without one of this epoch's beginning they go
 * back further. A trainer of someone's own keeps its state as it likes: it is given the epoch.
 */
function firstStep(begin: number, resume: CheckpointFolder | null, recipe: Recipe): number {
  if (typeof recipe.trainer !== 'string' && resume === null) return begin;
  return Math.min(begin, resume?.step ?? 0);
}

/** In the job they stand at their positions, also those that are no longer sampled. */
const asRecipeHas = ({ text, negative, seed, width, height }: PromptRow): Prompt => ({
  text,
  negative,
  seed,
  ...(width === null ? {} : { width }),
  ...(height === null ? {} : { height }),
});
