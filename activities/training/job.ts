/** Builds the job of a trainer out of the record. Everything in it is a function of the run. */
import { join } from 'node:path';
import { getDataset } from '../../db/datasets.ts';
import { homePaths } from '../../db/home.ts';
import { extraOf, type PromptRow, promptsOf } from '../../db/prompts.ts';
import type { RunRow } from '../../db/runs.ts';
import { promptsToSample } from '../../db/wanted.ts';
import { clipText } from '../../native/clip-tokenizer.ts';
import { PROTOCOL_VERSION, type Job, type JobPrompt } from '../../native/protocol.ts';
import type { Recipe } from '../../recipes/schema.ts';
import { TillerError } from '../../recipes/errors.ts';
import type { Deps } from '../deps.ts';
import { pinnedBase } from '../run/pinned-base.ts';
import { inputsFolder, readPictures } from '../run/prompt-pictures.ts';
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
  const pinned = pinnedBase(run);
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
    fingerprint: {
      recipe: run.recipe_hash,
      data: run.dataset ?? '',
      base: [pinned?.hash, pinned?.vae_hash].filter((hash) => hash != null).join(' '),
    },
    seed: recipe.seed,
    device: recipe.device,
    threads: run.threads,
    recipe: {
      ...recipe,
      train: { ...recipe.train, steps_per_epoch: steps },
      samples: {
        ...recipe.samples,
        prompts: promptsOf(db, run.id).map((row) => forTrainer(row, runFolder(home, run.id))),
      },
    },
    ...(pinned?.tokenizer == null ? {} : { tokenizer: pinned.tokenizer }),
    ...(pinned === null
      ? {}
      : {
          latents: {
            folder: homePaths(home).latents,
            origin: pinned.vae_hash ?? pinned.hash,
          },
        }),
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
function forTrainer(row: PromptRow, folder: string): JobPrompt {
  const { text, negative, seed, width, height } = row;
  const { steps, guidance, strength, outpaint } = extraOf(row);
  const said = Object.entries({ steps, guidance, strength, outpaint });
  return {
    text: clipText(text),
    negative: clipText(negative),
    seed,
    ...(width === null ? {} : { width }),
    ...(height === null ? {} : { height }),
    ...Object.fromEntries(said.filter(([, value]) => value !== undefined)),
    ...readPictures(inputsFolder(folder), row.position),
  };
}
