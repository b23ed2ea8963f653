/** One epoch of training: adopts the living trainer or starts one, and follows it to the epoch's end. */
import { beginEpoch, endEpoch } from '../../db/epochs.ts';
import { getRun, setRunState } from '../../db/runs.ts';
import type { Deps } from '../deps.ts';
import { checkpointsFolder, stepsPerEpoch } from './job.ts';
import { checkpointsOnDisk } from './checkpoints-on-disk.ts';
import { runTrainer } from './run-trainer.ts';

export const createTrainEpoch =
  (deps: Deps) =>
  /** @returns finished: false when the trainer stopped at a checkpoint because someone asked */
  async (runId: string, epoch: number): Promise<{ finished: boolean }> => {
    const run = getRun(deps.db, runId);
    const steps = stepsPerEpoch(run);
    const lastStep = epoch * steps;
    const { finished, lease } = await runTrainer(deps, runId, {
      stage: 'train',
      epoch,
      begin: (lease) => {
        beginEpoch(deps.db, lease, { run: runId, epoch, firstStep: lastStep - steps, lastStep });
        setRunState(deps.db, runId, 'training');
      },
      resume: async () => {
        const [newest] = await checkpointsOnDisk(checkpointsFolder(deps.home, runId), lastStep);
        return newest ?? null;
      },
    });
    if (finished) endEpoch(deps.db, lease, { run: runId, epoch });
    return { finished };
  };
