/** The weights of the last epoch as files that other programs load, named after the run. */
import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { Context } from '@temporalio/activity';
import { type CheckpointRow, epochCheckpoint } from '../../db/checkpoints.ts';
import { appendEvent } from '../../db/events.ts';
import { getRun, recipeOf, type RunRow, setRunState } from '../../db/runs.ts';
import { TillerError } from '../../recipes/errors.ts';
import type { Deps } from '../deps.ts';
import { runFolder } from '../training/job.ts';
import { copyWeights, exportEpoch, manifestOf } from './export-epoch.ts';
import { exportMetadata } from './metadata.ts';
import { exportName } from './place.ts';

const FILES = { 'weights.safetensors': '', 'ema.safetensors': '-ema' } as const;

export const createExportRun =
  (deps: Deps) =>
  async (runId: string): Promise<void> => {
    const { db, home } = deps;
    const run = getRun(db, runId);
    const checkpoint = epochCheckpoint(db, runId, run.epochs);
    // A trainer of someone's own may keep no checkpoint here: then there is nothing to export.
    if (checkpoint === undefined) return;
    setRunState(db, runId, 'exporting');
    const folder = join(runFolder(home, runId), 'exports');
    await mkdir(folder, { recursive: true });
    const { trainer, model } = recipeOf(run);
    const sd1 = typeof trainer === 'string' && model.architecture === 'sd1';
    if (sd1) await exportForOthers(deps, run, folder);
    else await copyAll(deps, run, checkpoint, folder);
  };

/** A LoRA, or the whole model as one file. */
async function exportForOthers({ db, env, log }: Deps, run: RunRow, folder: string) {
  const say = (message: string, code?: string) =>
    appendEvent(db, { run: run.id, kind: 'export', code, epoch: run.epochs, message });
  try {
    // An attempt that was cut off may have left it.
    const request = { run, epoch: run.epochs, folder, force: true };
    const exported = await exportEpoch(db, request, {
      env,
      signal: Context.current().cancellationSignal,
      log: (line) => log.info(line),
      onEvent: (event) => event.event === 'warning' && say(event.message, event.code),
    });
    for (const { path } of exported.files) say(path);
  } catch (error) {
    // The run is done and its checkpoints are there: that is said, and no failure of its training.
    if (!(error instanceof TillerError) || error.code !== 'EXPORT_DOES_NOTHING') throw error;
    say(error.line, error.code);
  }
}

async function copyAll({ db }: Deps, run: RunRow, checkpoint: CheckpointRow, folder: string) {
  const recipe = recipeOf(run);
  const metadata = exportMetadata(run, recipe, checkpoint, await manifestOf(db, run));
  for (const [file, suffix] of Object.entries(FILES)) {
    if (!existsSync(join(checkpoint.path, file))) continue;
    const target = join(folder, `${exportName(run.name, run.epochs)}${suffix}.safetensors`);
    await copyWeights(recipe, checkpoint, file, target, metadata);
    appendEvent(db, { run: run.id, kind: 'export', epoch: run.epochs, message: target });
  }
}
