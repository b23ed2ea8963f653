/** Samples and validation of one epoch, from its checkpoint; epoch 0 is the untouched base. */
import { epochCheckpoint, type CheckpointRow } from '../../db/checkpoints.ts';
import { beginEvaluation, findEpoch, markEvaluated, reopenEpoch } from '../../db/epochs.ts';
import type { Lease } from '../../db/leases.ts';
import { getRun, setRunState, type RunRow } from '../../db/runs.ts';
import { settleWanted, wantedOf } from '../../db/wanted.ts';
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
    const row = findEpoch(db, runId, epoch);
    // Evaluated before: only for samples that somebody wants of it.
    const asked = row?.state === 'evaluated' ? wantedOf(row) : undefined;
    let lease: Lease | undefined;
    let finished: boolean;
    try {
      ({ lease, finished } = await runTrainer(deps, runId, {
        stage: 'evaluate',
        epoch,
        begin: (taken) => {
          lease = taken;
          beginEvaluation(db, taken, { run: runId, epoch, step });
          setRunState(db, runId, 'evaluating');
        },
        resume: async () => (epoch === 0 ? null : checkpointOf(deps, run, epoch)),
      }));
    } catch (error) {
      // Epoch 0 has no checkpoint that could be lost.
      const lost = epoch > 0 && error instanceof TillerError && error.code === 'CHECKPOINT_CORRUPT';
      if (!lost || lease === undefined) throw error;
      if (asked !== undefined) {
        settleWanted(db, lease, { run: runId, epoch, asked }, error.line);
        return;
      }
      // The weights are gone, the way to them is not: the epoch is trained again.
      reopenEpoch(db, lease, { run: runId, epoch });
      return;
    }
    // Stopped in the middle by a pause: what was made is kept, the rest is made when it goes on.
    if (!finished) return;
    if (asked === undefined) markEvaluated(db, lease, { run: runId, epoch });
    else settleWanted(db, lease, { run: runId, epoch, asked }, 'the trainer did not make it');
  };

function checkpointOf({ db }: Deps, { id, name }: RunRow, epoch: number): CheckpointRow {
  const checkpoint = epochCheckpoint(db, id, epoch);
  if (checkpoint !== undefined) return checkpoint;
  throw new TillerError(
    'CHECKPOINT_CORRUPT',
    `Epoch ${epoch} of run ${name} has no good checkpoint`,
  );
}
