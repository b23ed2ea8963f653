/** The data set stage: prepares the folder once; from then on the run is pinned to that version. */
import { Context } from '@temporalio/activity';
import { stat } from 'node:fs/promises';
import { getDataset, saveDataset } from '../../db/datasets.ts';
import { appendEvent } from '../../db/events.ts';
import { homePaths } from '../../db/home.ts';
import { getRun, recipeOf, setRunState, updateRun, type RunRow } from '../../db/runs.ts';
import { TillerError } from '../../recipes/errors.ts';
import type { Recipe } from '../../recipes/schema.ts';
import { prepareDataset, type PreparedDataset } from '../dataset/prepare.ts';
import type { Deps } from '../deps.ts';

export const createPrepareData =
  (deps: Deps) =>
  async (runId: string): Promise<void> => {
    const { db, home } = deps;
    const run = getRun(db, runId);
    const recipe = recipeOf(run);
    if (run.steps_per_epoch !== null) return mustStillBeThere(deps, run);
    if (recipe.data === undefined) {
      updateRun(db, runId, { steps_per_epoch: stepsWithoutData(recipe) });
      return;
    }
    setRunState(db, runId, 'preparing');
    const { folder, resolution, background, validation_share: validationShare } = recipe.data;
    const prepared = await prepareDataset({
      folder,
      resolution,
      background,
      validationShare,
      seed: recipe.seed,
      datasetsFolder: homePaths(home).datasets,
      signal: Context.current().cancellationSignal,
    });
    saveDataset(db, { ...prepared, folder, width: resolution, height: resolution });
    const { batch, accumulation, steps_per_epoch: asked } = recipe.train;
    const onePass = Math.max(1, Math.ceil(prepared.trainItems / (batch * accumulation)));
    updateRun(db, runId, { dataset: prepared.hash, steps_per_epoch: asked ?? onePass });
    appendEvent(db, { run: runId, kind: 'dataset', message: summary(prepared) });
  };

function summary({ trainItems, validationItems, problems }: PreparedDataset): string {
  const left = problems.length === 0 ? '' : `; ${problems.length} left out`;
  return `${trainItems} pictures to train on, ${validationItems} held out${left}`;
}

async function mustStillBeThere({ db }: Deps, run: RunRow): Promise<void> {
  if (run.dataset === null) return;
  const { manifest } = getDataset(db, run.dataset);
  try {
    await stat(manifest);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    throw new TillerError(
      'DATA_CHANGED',
      `The prepared data set ${manifest} of run ${run.name} is gone`,
      {
        hint: 'Put it back from a backup, or start a new run.',
        cause: error,
      },
    );
  }
}

function stepsWithoutData({ train }: Recipe): number {
  if (train.steps_per_epoch !== undefined) return train.steps_per_epoch;
  throw new TillerError(
    'RECIPE_INVALID',
    'train.steps_per_epoch is missing, and without data there is no pass to count',
    {
      hint: 'Set train.steps_per_epoch.',
    },
  );
}
