/** Samples and validation of one epoch, from its checkpoint; epoch 0 is the untouched base. */
import { epochCheckpoint } from '../../db/checkpoints.ts';
import { beginEvaluation, markEvaluated } from '../../db/epochs.ts';
import { getRun, setRunState } from '../../db/runs.ts';
import { TillerError } from '../../recipes/errors.ts';
import type { Deps } from '../deps.ts';
import { evaluates } from '../run/position.ts';
import { stepsPerEpoch } from '../training/job.ts';
import { runTrainer } from '../training/run-trainer.ts';

export const createEvaluateEpoch =
  (deps: Deps) =>
  async (runId: string, epoch: number): Promise<void> => {
    const { db } = deps;
    const run = getRun(db, runId);
    if (!evaluates(run)) return;
    const step = epoch * stepsPerEpoch(run);
    const { lease } = await runTrainer(deps, runId, {
      stage: 'evaluate',
      epoch,
      begin: (lease) => {
        beginEvaluation(db, lease, { run: runId, epoch, step });
        if (run.state !== 'pausing' && run.state !== 'stopping') setRunState(db, runId, 'evaluating');
      },
      resume: async () => {
        if (epoch === 0) return null;
        const checkpoint = epochCheckpoint(db, runId, epoch);
        if (checkpoint !== undefined) return checkpoint;
        throw new TillerError('CHECKPOINT_CORRUPT', `Epoch ${epoch} of run ${run.name} has no good checkpoint`);
      },
    });
    markEvaluated(db, lease, { run: runId, epoch });
  };
