/** What would otherwise fail in the night: the trainer, the data folder, room on the disk. */
import { mkdir, statfs } from 'node:fs/promises';
import { getRun, recipeOf, setRunState } from '../../db/runs.ts';
import { TillerError } from '../../recipes/errors.ts';
import type { Deps } from '../deps.ts';
import { statIfThere } from '../dataset/disk.ts';
import { diskFull } from '../failures.ts';
import { checkpointsFolder } from '../training/job.ts';
import { trainerCommand } from '../training/trainer-command.ts';

/** Less than this can't hold even a small model's checkpoint and its samples. */
const LEAST_FREE_BYTES = 16 * 2 ** 20;

export const createPreflight =
  (deps: Deps) =>
  async (runId: string): Promise<void> => {
    const run = getRun(deps.db, runId);
    const recipe = recipeOf(run);
    if (run.dataset === null) setRunState(deps.db, runId, 'preparing');
    const folder = checkpointsFolder(deps.home, runId);
    await mkdir(folder, { recursive: true });
    const { bavail, bsize } = await statfs(folder);
    if (bavail * bsize < LEAST_FREE_BYTES)
      throw diskFull(`run ${run.name} in ${folder}`, undefined);
    if (recipe.data !== undefined && run.dataset === null) await mustBeFolder(recipe.data.folder);
    await trainerCommand(deps, recipe);
  };

async function mustBeFolder(folder: string): Promise<void> {
  const found = await statIfThere(folder);
  if (found?.isDirectory()) return;
  throw new TillerError('DATA_FOLDER_MISSING', `The data folder ${folder} is not there`, {
    hint: 'Check data.folder in the recipe.',
  });
}
