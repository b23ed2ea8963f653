/** Where a run is, by its record: the next thing that is not done. */
import { listEpochs } from '../../db/epochs.ts';
import { getRun, type RunRow } from '../../db/runs.ts';
import type { Deps } from '../deps.ts';

export interface Position {
  stage: 'train' | 'evaluate' | 'finished';
  epoch: number;
  /** the epoch is evaluated, but for samples that somebody wants of it now */
  wanted?: true;
}

/** Whether the run's trainer makes samples and validations from a checkpoint. */
export const evaluates = (run: RunRow): boolean =>
  run.knows === null
    ? run.trainer.startsWith('tiller-')
    : run.knows.split(',').includes('evaluate');

export const createPosition =
  ({ db }: Deps) =>
  async (runId: string): Promise<Position> => {
    const run = getRun(db, runId);
    const rows = new Map(listEpochs(db, runId).map((row) => [row.epoch, row]));
    for (let epoch = 0; epoch <= run.epochs; epoch += 1) {
      const row = rows.get(epoch);
      const state = row?.state;
      if (epoch > 0 && (state === undefined || state === 'training'))
        return { stage: 'train', epoch };
      // The base of a trainer of someone's own: what it can do is known only once it has run.
      if (epoch === 0 && run.knows === null && !evaluates(run)) continue;
      if (!evaluates(run)) continue;
      if (state !== 'evaluated') return { stage: 'evaluate', epoch };
      if (row?.wanted != null) return { stage: 'evaluate', epoch, wanted: true };
    }
    return { stage: 'finished', epoch: run.epochs };
  };
