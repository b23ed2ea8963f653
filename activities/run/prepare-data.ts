/** The data set stage: prepares the folder once; from then on the run is pinned to that version. */
import { Context } from '@temporalio/activity';
import { stat } from 'node:fs/promises';
import { getDataset, saveDataset } from '../../db/datasets.ts';
import { appendEvent, hasEvent } from '../../db/events.ts';
import { homePaths } from '../../db/home.ts';
import { getRun, recipeOf, setRunState, updateRun, type RunRow } from '../../db/runs.ts';
import { TillerError } from '../../recipes/errors.ts';
import type { DataSettings, Recipe } from '../../recipes/schema.ts';
import { prepareDataset, type PreparedDataset } from '../dataset/prepare.ts';
import { changesSince } from '../dataset/sources.ts';
import { stepsOfPass } from '../dataset/steps-of-pass.ts';
import type { Deps } from '../deps.ts';
import { prepareBase } from './prepare-base.ts';
import { preparePictures } from './prepare-pictures.ts';

/** The code of its event. */
const FOLDER_CHANGED = 'FOLDER_CHANGED';

export const createPrepareData =
  (deps: Deps) =>
  async (runId: string): Promise<void> => {
    const { db, home } = deps;
    await prepareBase(deps, runId);
    await preparePictures(deps, runId);
    const run = getRun(db, runId);
    const recipe = recipeOf(run);
    if (run.steps_per_epoch !== null) return goOn(deps, run, recipe);
    if (recipe.data === undefined) {
      updateRun(db, runId, { steps_per_epoch: stepsWithoutData(recipe) });
      return;
    }
    setRunState(db, runId, 'preparing');
    const { data, train, seed } = recipe;
    const prepared = await prepareDataset({
      data,
      seed,
      datasetsFolder: homePaths(home).datasets,
      signal: Context.current().cancellationSignal,
    });
    const { folder, resolution } = data;
    saveDataset(db, { ...prepared, folder, width: resolution, height: resolution });
    const trained = prepared.items.filter(({ split }) => split === 'train');
    const onePass = stepsOfPass(trained, train.batch, train.accumulation);
    updateRun(db, runId, {
      dataset: prepared.hash,
      steps_per_epoch: train.steps_per_epoch ?? onePass,
    });
    appendEvent(db, { run: runId, kind: 'dataset', message: summary(prepared, recipe) });
  };

function summary(prepared: PreparedDataset, { data }: Recipe): string {
  const { trainItems, validationItems, regularisationItems, shapes } = prepared;
  const shaped = data?.fit === 'buckets' ? ` (${counted(shapes, 'shape')})` : '';
  const others =
    regularisationItems === 0 ? '' : `, ${counted(regularisationItems, 'regularisation picture')}`;
  const left = Object.entries(prepared.problemCounts).map(([kind, count]) => `${count} ${kind}`);
  const leftOut =
    left.length === 0 ? '' : `; ${prepared.problems.length} left out (${left.join(', ')})`;
  return `${counted(trainItems, 'picture')} to train on${shaped}, ${validationItems} held out${others}${leftOut}`;
}

const counted = (count: number, what: string): string =>
  `${count} ${what}${count === 1 ? '' : 's'}`;

async function goOn(deps: Deps, run: RunRow, { data }: Recipe): Promise<void> {
  if (run.dataset === null || data === undefined) return;
  const { manifest } = getDataset(deps.db, run.dataset);
  await mustStillBeThere(manifest, run);
  await tellOfChanges(deps, run, manifest, data);
}

async function mustStillBeThere(manifest: string, run: RunRow): Promise<void> {
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

/** Said once: the run goes on with what it is pinned to, whatever becomes of the folder. */
async function tellOfChanges(
  { db }: Deps,
  run: RunRow,
  manifest: string,
  data: DataSettings,
): Promise<void> {
  if (hasEvent(db, run.id, FOLDER_CHANGED)) return;
  const message = await whatChanged(manifest, data);
  if (message === undefined) return;
  appendEvent(db, { run: run.id, kind: 'dataset', code: FOLDER_CHANGED, message });
}

async function whatChanged(manifest: string, data: DataSettings): Promise<string | undefined> {
  const since = "since this run's data set was pinned";
  try {
    const changes = await changesSince(manifest, data, Context.current().cancellationSignal);
    if (changes === undefined) return undefined;
    const { counts, example } = changes;
    return `the folder has changed ${since}: ${counts.join(', ')}, such as ${example}; this run goes on with what it began with`;
  } catch (error) {
    if (!(error instanceof TillerError && error.code === 'DATA_FOLDER_MISSING')) throw error;
    return `the folder is gone ${since}; this run goes on with what it began with`;
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
