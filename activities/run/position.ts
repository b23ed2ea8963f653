/** Where a run is, by its record: the next thing that is not done. */
import { listEpochs } from '../../db/epochs.ts';
import { getRun, type RunRow } from '../../db/runs.ts';
import type { Deps } from '../deps.ts';

export type Position =
  { stage: 'train' | 'evaluate'; epoch: number } | { stage: 'finished'; epoch: number };

/** Whether the run's trainer makes samples and validations from a checkpoint. */
export const evaluates = (run: RunRow): boolean =>
  run.knows === null
    ? run.trainer.startsWith('tiller-')
    : run.knows.split(',').includes('evaluate');

export const createPosition =
  ({ db }: Deps) =>
  async (runId: string): Promise<Position> => {
    const run = getRun(db, runId);
    const states = new Map(listEpochs(db, runId).map(({ epoch, state }) => [epoch, state]));
    for (let epoch = 0; epoch <= run.epochs; epoch += 1) {
      const state = states.get(epoch);
      if (epoch > 0 && (state === undefined || state === 'training'))
        return { stage: 'train', epoch };
      // The base of a trainer of someone's own: what it can do is known only once it has run.
      if (epoch === 0 && run.knows === null && !evaluates(run)) continue;
      if (state !== 'evaluated' && evaluates(run)) return { stage: 'evaluate', epoch };
    }
    return { stage: 'finished', epoch: run.epochs };
  };
